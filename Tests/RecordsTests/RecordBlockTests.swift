import Records
import Testing

/// A payload of one byte and one cell a record.
private struct Letters: Payload {
  var bytes: [UInt8] = []
  var cells: [Int] = []

  var end: PayloadOffset { PayloadOffset(bytes: bytes.count, items: cells.count) }
  var byteCount: Int { bytes.count }

  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove) {
    guard let other = other as? Letters else { return }
    bytes += other.bytes[part.lowerBound.payload.bytes..<part.upperBound.payload.bytes]
    cells += other.cells[part.lowerBound.payload.items..<part.upperBound.payload.items].map(
      move.cell)
  }

  mutating func truncate(to end: PayloadOffset) {
    bytes.removeSubrange(end.bytes...)
    cells.removeSubrange(end.items...)
  }

  mutating func removeAll() { self = Letters() }
  mutating func reserve(_ end: PayloadOffset) {}
}

@Suite struct RecordBlockTests {
  /// A block of two features with these records: the values n and -n, the letter and the weight of
  /// each.
  private func block(
    _ numbers: Range<Int>, capacity: Int = 9, cutAfter cuts: [Int] = []
  ) -> RecordBlock {
    var block = RecordBlock(
      columns: FeatureColumns(featureCount: 2, capacity: capacity, precision: .float64),
      payload: Letters())
    for number in numbers { add(number, to: &block, cuts: cuts.contains(number)) }
    return block
  }

  private func add(_ number: Int, to block: inout RecordBlock, cuts: Bool) {
    let (record, capacity) = (block.columns.count, block.columns.capacity)
    block.columns.withFloat64Columns {
      $0[record] = Double(number)
      $0[capacity + record] = Double(-number)
    }
    var roles = RecordRoles()
    roles.weight = Double(number) / 2
    block.columns.setRoles(roles, of: record)
    block.columns.count += 1
    var letters = block.payload as? Letters ?? Letters()
    letters.bytes.append(UInt8(number))
    letters.cells.append(capacity + record)
    block.payload = letters
    block.position = StreamPosition(records: number)
    if cuts { block.cut() }
  }

  /// The numbers of a block's records, if all that it holds agrees.
  private func numbers(_ block: RecordBlock) -> [Int] {
    let numbers = (0..<block.columns.count).map { Int(block.columns[record: $0, feature: 0]) }
    let letters = block.payload as? Letters
    #expect(letters?.bytes == numbers.map { UInt8($0) })
    #expect(
      letters?.cells.map { cell in
        let (feature, record) = cell.quotientAndRemainder(dividingBy: block.columns.capacity)
        return Int(block.columns[record: record, feature: feature])
      } == numbers.map { -$0 })
    let weights = block.columns.roles.weights?.prefix(block.columns.count) ?? []
    #expect(Array(weights) == numbers.map { Double($0) / 2 })
    return numbers
  }

  @Test func `records move with everything that they have`() {
    var block = block(1..<4)
    block.append(self.block(4..<7, capacity: 3))
    #expect(numbers(block) == Array(1..<7))
    #expect(block.position.records == 6)
    #expect(block.end == BlockOffset(records: 6, payload: PayloadOffset(bytes: 6, items: 6)))
  }

  @Test func `an empty block takes the kind of the records that enter it`() {
    var empty = RecordBlock(
      columns: FeatureColumns(featureCount: 2, capacity: 3, precision: .float64))
    empty.append(block(4..<7))
    #expect(numbers(empty) == [4, 5, 6])
  }

  @Test func `a part takes no more memory than it needs`() {
    let block = block(1..<8)
    let seams = (2...5).map { BlockOffset(records: $0, payload: .init(bytes: $0, items: $0)) }
    let part = block.part(seams[0]..<seams[3])
    #expect(numbers(part) == [3, 4, 5])
    #expect(part.columns.capacity == 3)
    #expect(part.cuts.isEmpty)
  }

  @Test func `the tail moves and the whole mini-batches stay`() {
    var whole = block(1..<8, cutAfter: [2, 5])
    #expect(whole.tail == 2 && whole.hasTail)
    var rest = block(0..<0)
    whole.moveTail(to: &rest)
    #expect(numbers(whole) == Array(1..<6))
    #expect(!whole.hasTail)
    #expect(whole.position.records == 5)
    #expect(numbers(rest) == [6, 7])
    #expect(rest.position.records == 7)
    #expect(whole.cuts.map(\.records) == [2, 3])
  }

  @Test func `a cut counts the records that left before it`() {
    var block = block(1..<3)
    block.cut(earlier: 4)
    #expect(block.cuts.map(\.records) == [6])
    #expect(block.cuts.map(\.end.records) == [2])
  }

  @Test func `a block is visited up to each seam`() {
    var block = block(0..<0)
    for number in 1..<8 {
      add(number, to: &block, cuts: false)
      if number == 2 || number == 7 { block.markSeam() }
    }
    var parts: [Range<Int>] = []
    block.forEachPart { parts.append($0.lowerBound.records..<$0.upperBound.records) }
    // A seam at the end divides nothing.
    #expect(parts == [0..<2, 2..<7])
    #expect(block.selectedRecords == 0..<7)
    let end = BlockOffset(records: 2, payload: PayloadOffset(bytes: 2, items: 2))
    #expect(block.selecting(BlockOffset()..<end).selectedRecords == 0..<2)
  }

  @Test func `an emptied block is as new`() {
    var block = block(1..<8, cutAfter: [2]).selecting(BlockOffset()..<BlockOffset(records: 1))
    block.markSeam()
    block.unnormalized = UnnormalizedFeatures([true], .asRead)
    block.removeRecords()
    #expect(numbers(block) == [])
    #expect(block.cuts.isEmpty && block.seams.isEmpty && block.unnormalized == nil)
    #expect(block.selection == block.all)
  }

  @Test func `a part's size is that of its payload or of its values`() {
    let block = block(1..<8)
    #expect(block.byteCount(of: block.all, .float32) == 7 * 2 * 4)
    var long = block
    var letters = Letters()
    letters.bytes = Array(repeating: 0, count: 1000)
    long.payload = letters
    #expect(long.byteCount(of: long.all, .float32) == 1000)
  }
}
