import Codecs
import Records
import TestSupport
import Testing

@testable import Stream

@Suite struct BatcherTests {
  private let place = StreamPosition(records: 7)

  private func batches(size: Int, pool: BlockPool? = nil) -> Batcher {
    var options = BatchOptions()
    options.size = size
    var batches = Batcher(options, precision: .float64, pool: pool)
    batches.featureCount = 1
    return batches
  }

  /// Adds records with these numbers.
  private func add(_ numbers: Range<Int>, to batches: inout Batcher) {
    for number in numbers {
      batches.add { batch, limit in
        #expect(batch.columns.count < limit)
        var text = batch.takePayload(SplicedText.self)
        let start = UInt32(text.bytes.count)
        text.bytes += Array("\(number)\n".utf8)
        text.spans.append(
          ValueSpan(
            start: start, end: UInt32(text.bytes.count - 1), cell: UInt32(batch.columns.count)))
        batch.payload = text
        let place = batch.columns.count
        batch.columns.withFloat64Columns { (values: inout [Double]) in
          values[place] = Double(number)
        }
        batch.columns.count += 1
      }
    }
  }

  private func takeWhole(of batches: inout Batcher) throws -> RecordBlock {
    let whole = batches.takeWhole()
    return try #require(whole)
  }

  /// Expects the same numbers in the columns and in the text of a block.
  ///
  /// - Returns: the numbers.
  private func numbers(_ batch: RecordBlock) -> [Int] {
    let values = (0..<batch.columns.count).map {
      Int(batch.columns[record: $0, feature: 0])
    }
    let spelt = batch.spans.map {
      Int(String(decoding: batch.text[Int($0.start)..<Int($0.end)], as: UTF8.self))
    }
    let named = batch.spans.map { Int(batch.columns[record: Int($0.cell), feature: 0]) }
    #expect(spelt == values && named == values)
    return values
  }

  @Test func `whole batches leave together, without the open one`() throws {
    var batches = batches(size: 3)
    add(0..<3, to: &batches)
    #expect(batches.isFull)
    batches.cut(at: place)
    #expect(batches.isBetweenBatches)
    add(3..<6, to: &batches)
    batches.cut(at: StreamPosition(records: 8))
    add(6..<8, to: &batches)
    let whole = try takeWhole(of: &batches)
    #expect(numbers(whole) == Array(0..<6))
    #expect(whole.sizes == [3, 3])
    #expect(whole.cuts.map(\.position.records) == [7, 8] && whole.position.records == 8)
    #expect(!whole.hasTail)
    #expect(batches.tail == 2)
    let none = batches.takeWhole()
    #expect(none?.sizes == nil)
    add(8..<9, to: &batches)
    #expect(batches.isFull)
    batches.cut(at: place)
    #expect(numbers(try takeWhole(of: &batches)) == [6, 7, 8])
  }

  @Test func `records that have left count for the size of their batch`() throws {
    var batches = batches(size: 3)
    add(0..<2, to: &batches)
    let taken = batches.takeTail(endingAt: place)
    let part = try #require(taken)
    #expect(numbers(part) == [0, 1] && part.cuts.isEmpty && part.position == place)
    #expect(batches.aPartHasLeft && !batches.isBetweenBatches)
    let nothing = batches.takeTail(endingAt: place)
    #expect(nothing?.sizes == nil)
    add(2..<3, to: &batches)
    #expect(batches.isFull)
    batches.cut(at: place)
    #expect(!batches.aPartHasLeft)
    let rest = try takeWhole(of: &batches)
    #expect(numbers(rest) == [2] && rest.sizes == [1])
  }

  @Test func `a batch whose records have all left is cut without records`() throws {
    var batches = batches(size: 9)
    add(0..<2, to: &batches)
    _ = batches.takeTail(endingAt: place)
    batches.cut(at: place)
    #expect(try takeWhole(of: &batches).sizes == [0])
  }

  /// They came twice after a crash: a checkpoint after them had the cursor before them.
  @Test func `bytes without a record leave with the next one, or with a cut`() throws {
    func addBlankLine(_ batches: inout Batcher) {
      batches.add { batch, _ in
        var text = batch.takePayload(SplicedText.self)
        text.bytes += Array("\n".utf8)
        batch.payload = text
      }
    }
    var batches = batches(size: 3)
    addBlankLine(&batches)
    #expect(batches.isBlank)
    let nothing = batches.takeTail(endingAt: place)
    #expect(nothing?.sizes == nil)
    add(0..<1, to: &batches)
    #expect(!batches.isBlank)
    let part = batches.takeTail(endingAt: place)
    #expect(part?.text == Array("\n0\n".utf8))
    // A record of the batch has left, so no cursor is taken before the cut.
    addBlankLine(&batches)
    #expect(!batches.isBlank && !batches.isBetweenBatches)
    let bytes = batches.takeTail(endingAt: place)
    #expect(bytes?.text == Array("\n".utf8))
    batches.cut(at: place)
    _ = try takeWhole(of: &batches)
    addBlankLine(&batches)
    batches.cut(at: place)
    #expect(try takeWhole(of: &batches).text == Array("\n".utf8))
  }

  private func expectEnd(of batches: inout Batcher, cuts expected: Bool) {
    let cuts = batches.endUnit()
    #expect(cuts == expected)
  }

  @Test func `the end of a unit cuts the mini-batch that began in it`() throws {
    var batches = batches(size: 3)
    // The end of this unit cuts nothing: the mini-batch began with it.
    add(0..<2, to: &batches)
    expectEnd(of: &batches, cuts: false)
    // In the next unit a mini-batch ends and another begins.
    add(2..<3, to: &batches)
    batches.isInsideUnit = true
    #expect(batches.isFull)
    batches.cut(at: place)
    add(3..<4, to: &batches)
    #expect(!batches.isFull)
    expectEnd(of: &batches, cuts: true)
    #expect(!batches.isInsideUnit)
    batches.cut(at: place)
    add(4..<6, to: &batches)
    expectEnd(of: &batches, cuts: false)
    #expect(try takeWhole(of: &batches).sizes == [3, 1])
    #expect(batches.tail == 2)
  }

  @Test func `a unit that ends with its mini-batch makes no other cut`() {
    var batches = batches(size: 3)
    add(0..<3, to: &batches)
    batches.isInsideUnit = true
    batches.cut(at: place)
    expectEnd(of: &batches, cuts: false)
    add(3..<4, to: &batches)
    expectEnd(of: &batches, cuts: false)
  }

  @Test func `a batch of which a part has left leaves alone, even without records`() throws {
    var batches = batches(size: 70_000)
    add(0..<2, to: &batches)
    _ = batches.takeTail(endingAt: place)
    batches.cut(at: place)
    #expect(batches.isWorthPassingOn)
  }

  @Test func `few batches leave in a block of their size, and many in one block`() throws {
    var batches = batches(size: 4)
    add(0..<4, to: &batches)
    batches.cut(at: place)
    #expect(!batches.isWorthPassingOn)
    #expect(try takeWhole(of: &batches).columns.capacity == 4)
    for start in stride(from: 0, to: 8192, by: 4) {
      #expect(!batches.isWorthPassingOn)
      add(start..<start + 4, to: &batches)
      batches.cut(at: place)
    }
    #expect(batches.isWorthPassingOn)
    let piece = try takeWhole(of: &batches)
    #expect(piece.sizes == Array(repeating: 4, count: 2048))
    #expect(piece.columns.capacity == 8192)
  }

  @Test func `a block that comes back is only taken for its own capacity`() {
    let pool = BlockPool()
    func block(_ capacity: Int) -> RecordBlock {
      RecordBlock(columns: FeatureColumns(featureCount: 1, capacity: capacity, precision: .float64))
    }
    #expect(pool.take(capacity: 10) == nil)
    pool.giveBack([block(10), block(10)])
    #expect(pool.take(capacity: 10)?.columns.capacity == 10)
    // Batches of Arrow's own record batches ask for more and for less.
    #expect(pool.take(capacity: 20) == nil)
    pool.giveBack([block(10), block(20)])
    #expect(pool.take(capacity: 20)?.columns.capacity == 20)
  }

  @Test func `a written block gives its memory back, unless it has another owner`()
    throws
  {
    let pool = BlockPool()
    var batches = batches(size: 8192, pool: pool)
    func piece() throws -> RecordBlock {
      add(0..<8192, to: &batches)
      batches.cut(at: place)
      return try takeWhole(of: &batches)
    }
    func address(_ batch: RecordBlock) -> UnsafeRawPointer? {
      batch.text.withUnsafeBytes { $0.baseAddress }
    }
    var first: RecordBlock? = try piece()
    let lent = first.flatMap(address)
    pool.giveBack(first.take().map { [$0] } ?? [])
    let second = try piece()
    #expect(address(second) == lent)
    // The test gives it back and still holds it.
    pool.giveBack([second])
    let third = try piece()
    #expect(address(third) != lent)
    #expect(numbers(second) == Array(0..<8192))
    pool.free()
    pool.giveBack([second])
    #expect(pool.take(capacity: 8192)?.sizes == nil)
  }

  @Test func `the pools of all streams together keep a bounded memory`() {
    func blocks(_ count: Int) -> [RecordBlock] {
      (0..<count).map { _ in
        var batch = RecordBlock(
          columns: FeatureColumns(featureCount: 1, capacity: 1, precision: .float64))
        batch.text = Array(repeating: 0, count: 9 << 20)
        batch.columns.count = 1
        batch.cut()
        return batch
      }
    }
    func takeAll(_ pool: BlockPool) -> Int {
      (0..<9).count { _ in pool.take(capacity: 1) != nil }
    }
    let (one, other) = (BlockPool(), BlockPool())
    #expect(takeAll(one) + takeAll(other) == 0)
    one.giveBack(blocks(4))
    other.giveBack(blocks(1))
    #expect(takeAll(other) == 0)
    #expect(takeAll(one) == 3)
    other.giveBack(blocks(1))
    #expect(takeAll(other) == 1)
    do {
      let gone = BlockPool()
      #expect(takeAll(gone) == 0)
      gone.giveBack(blocks(3))
    }
    other.giveBack(blocks(1))
    #expect(takeAll(other) == 1)
  }
}
