import BatchNormalization
import Configuration
import Connectors
import Dataflow
import Operators
import Records
import State
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Stream

/// Gradients of sources with several splits, and of Arrow.
struct GradientSplitTests {
  private func line(version: Int = 0, after batch: Int? = nil) -> String {
    let after = batch.map { #","after_batch":\#($0)"# } ?? ""
    return #"{"version":\#(version),"weight_grad":[0],"bias_grad":[-1]\#(after)}"# + "\n"
  }

  private func feed(_ events: [MadeSource.Event], keepsSplitOrder: Bool = false) -> GradientFeed {
    GradientFeed(MadeSource(events), keepsSplitOrder: keepsSplitOrder)
  }

  private func versions(_ feed: inout GradientFeed) throws -> [Int] {
    var versions: [Int] = []
    while let line = try feed.take() { versions += try line.content.get().map(\.body.version) }
    return versions
  }

  @Test func `lines of several connections are put together, however their bytes come`() throws {
    var random = SeededGenerator()
    for _ in 0..<50 {
      var rests = (0..<3).map { split in
        Array((0..<20).map { line(version: 100 * split + $0) }.joined().utf8)[...]
      }
      var events: [MadeSource.Event] = []
      while let split = rests.indices.filter({ !rests[$0].isEmpty }).randomElement(using: &random) {
        let piece = rests[split].prefix(Int.random(in: 1...200, using: &random))
        rests[split] = rests[split].dropFirst(piece.count)
        events.append(.bytes(split, Array(piece)))
        if rests[split].isEmpty { events.append(.ended(split)) }
      }
      var feed = feed(events)
      let found = try versions(&feed)
      for split in 0..<3 {
        #expect(
          found.filter { $0 / 100 == split } == (0..<20).map { 100 * split + $0 },
          "seed \(testSeed)")
      }
    }
  }

  @Test func `a line that waits for its batch holds only its own connection`() throws {
    let events: [MadeSource.Event] = [
      .bytes(0, Array((line(version: 1, after: 2) + line(version: 2)).utf8)),
      .bytes(1, Array(line(version: 3).utf8)), .bytes(1, Array(line(version: 4).utf8)),
    ]
    // Those of later files come after those of earlier ones.
    let cases: [(Bool, [Int], [Int])] = [(false, [3, 4], [1, 2]), (true, [], [1, 2, 3, 4])]
    for (keepsSplitOrder, before, after) in cases {
      var feed = feed(events, keepsSplitOrder: keepsSplitOrder)
      let first = try versions(&feed)
      for _ in 0..<2 { feed.batchCut() }
      let second = try versions(&feed)
      #expect(first == before && second == after)
    }
  }

  @Test func `a connection that ends within a line loses that line alone`() throws {
    let cut = Array(line(version: 2).utf8.dropLast(5))
    var feed = feed([
      .bytes(0, Array(line(version: 1).utf8) + cut), .bytes(1, Array(line(version: 3).utf8)),
      .ended(0), .bytes(1, Array(line(version: 4).utf8)),
    ])
    let found = try versions(&feed)
    #expect(found == [1, 3, 4])
  }

  @Test func `bytes that wait for a batch are bounded`() throws {
    let long = line(version: 1, after: 1)
    let padded = String(long.dropLast()) + String(repeating: " ", count: 60_000) + "\n"
    let events = (0..<100).map { MadeSource.Event.bytes($0, Array(padded.utf8)) }
    var feed = feed(events)
    let before = try versions(&feed)
    // The rest is not read before.
    feed.batchCut()
    let after = try versions(&feed)
    #expect(before.isEmpty && after.count == 100)
  }

  @Test func `the position has the place in each split, and the source may forget what is before`()
    throws
  {
    let source = MadeSource(
      [
        .bytes(0, Array((line(version: 1) + line(version: 2, after: 1)).utf8)),
        .bytes(1, Array(line(version: 3).utf8)),
      ], hasMarks: true)
    var feed = GradientFeed(source, keepsSplitOrder: false)
    let found = try versions(&feed)
    let position = try feed.position()
    let offsets = [line(version: 1), line(version: 3)].map(\.utf8.count)
    #expect(found == [1, 3] && position.input.splits.map(\.records) == [1, 1])
    #expect(position.input.splits.map(\.byteOffset) == offsets)
    #expect(source.log.settled == [0: offsets[0], 1: offsets[1]])
  }

  @Test func `a live stream is woken by gradients while it has no records, and paces their lines`()
    throws
  {
    let records = try MadePipe()
    let gradients = try MadePipe()
    var intake = GradientIntake(
      GradientFeed(MadeSource([], idle: gradients.reading)),
      try IngestContext(
        csvConfiguration(), metrics: StreamMetrics(), inbox: RequestInbox(),
        clock: ManualClock().clock
      ))
    let awaiting = Awaiting(.readable(descriptor: records.reading), seconds: 3)
    // Before a look, only time ends the wait.
    let early = intake.wait(or: awaiting)
    #expect(early == Awaiting(awaiting.readiness, seconds: GradientFeed.pauseSeconds))
    _ = try intake.feed.take()
    let both = intake.wait(or: awaiting)
    #expect(both.readiness != awaiting.readiness && both.seconds == GradientFeed.pauseSeconds)
    guard case .readable(let descriptor)? = both.readiness else { return }
    #expect(!isReadable(descriptor))
    gradients.write()
    #expect(isReadable(descriptor))
    gradients.read()
    #expect(!isReadable(descriptor))
    records.write()
    #expect(isReadable(descriptor))
    // While lines come, a short pause gathers them.
    intake.found = .lines
    let paced = intake.wait(or: awaiting)
    #expect(paced == Awaiting(awaiting.readiness, seconds: GradientFeed.shortPauseSeconds))
    // A look that could not be made must not wake the stream again and again.
    intake.beginLook()
    let unseen = intake.wait(or: awaiting)
    #expect(unseen.readiness == awaiting.readiness)
  }

  // MARK: Arrow

  /// The lines that a feed has now.
  private func lines(_ feed: inout GradientFeed) throws -> [GradientFeed.Line] {
    var lines: [GradientFeed.Line] = []
    while let line = try feed.take() { lines.append(line) }
    return lines
  }

  /// Versions 0, 1 and 2 after batch 1, version 3, and versions 4 and 5: `Tests/Oracles/arrow/make_golden.py`.
  @Test(arguments: ["gradients", "gradients-lists", "gradients-large"], [1, 100, Int.max])
  func `rows of Arrow are steps, and those of a record batch are taken together`(
    name: String, piece: Int
  ) throws {
    let golden = try ArrowInput.golden(name + ".arrows")
    var feed = GradientFeed(PieceSource(golden, piece: piece, isLive: true), .arrow)
    let early = try lines(&feed)
    feed.batchCut()
    let first = try feed.take()
    let position = try feed.position()
    let found = [first].compactMap(\.self) + (try lines(&feed))
    #expect(early.isEmpty && position.input.records == 3)
    #expect(found.map(\.number) == [1, 4, 5] && found.map(\.namesBatch) == [true, false, false])
    let rows = try found.map { try $0.content.get() }
    #expect(rows.map { $0.map(\.body.version) } == [[0, 1, 2], [3], [4, 5]])
    #expect(rows[0].map(\.body.count) == [10, nil, 12])
    #expect(rows[0][1].body.content == .sums(weight: [0.5, -1.5], bias: [2, 0.25]))
    // A missing number stays one, and the stream refuses the step.
    guard case .sums(let weight, _) = rows[2][1].body.content else { return }
    #expect(weight[0].isNaN && weight[1] == 1)
  }

  @Test func `rows of y and of its gradient come as lists of lists of Arrow`() throws {
    var feed = GradientFeed(
      PieceSource(try ArrowInput.golden("gradient-rows.arrows"), piece: .max, isLive: true), .arrow)
    let found = try lines(&feed)
    let contents = try found[0].content.get().map(\.body.content)
    guard found.count == 2, contents.count == 2, case .rows(let y, let gradients) = contents[0]
    else {
      Issue.record("\(found)")
      return
    }
    #expect(y[0] == [1, 2] && y[1][0] == 3 && y[1][1].isNaN && y.count == 2)
    #expect(gradients[0] == [0.5, 0] && gradients[1][0] == 1 && gradients[1][1].isNaN)
    #expect(contents[1] == .rows(y: [[5, 6]], gradients: [[-1, 1]]))
    #expect(
      refusal(of: found[1])
        == "y and y_grad: expected a list of lists of numbers in row 1, found another type or null")
  }

  private func refusal(of line: GradientFeed.Line?) -> String? {
    guard case .failure(let error)? = line?.content else { return nil }
    return error.description
  }

  @Test(arguments: [
    ("pyarrow-none.arrows", "expected a column 'version' of type Int64, found none"),
    (
      "gradients-whole.arrows",
      "expected lists of Float32 or Float64 in column 'weight_grad', found List of Int64"
    ),
    (
      "gradients-named.arrows",
      "expected the columns version, weight_grad and bias_grad or y and y_grad, and perhaps count and after_batch, "
        + "found 'features'"
    ),
  ])
  func `an Arrow stream without the columns of gradients is refused, and left alone`(
    name: String, refusal: String
  ) throws {
    var feed = GradientFeed(
      PieceSource(try ArrowInput.golden(name), piece: .max, isLive: true), .arrow)
    let found = try lines(&feed)
    #expect(found.count == 1)
    #expect(self.refusal(of: found.first) == refusal + "; the rest of its source is passed over")
  }

  /// Offsets of four lists of two numbers each, and hostile ones in their place.
  @Test(arguments: [
    // Beyond the elements, in another order, before the first one, and far away.
    [0, 2, 4, 7], [0, 4, 2, 6], [0, 2, 6, 4], [-2, 2, 4, 6], [0, 2, 4, .max], [.min, 2, 4, 6],
  ])
  func `lists that do not follow one another in their elements are refused`(offsets: [Int32])
    throws
  {
    func bytes(_ offsets: [Int32]) -> [UInt8] {
      offsets.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) }
    }
    var stream = try ArrowInput.golden("gradients-lists.arrows")
    let place = try #require(stream.firstRange(of: bytes([0, 2, 4, 6])))
    stream.replaceSubrange(place, with: bytes(offsets))
    var feed = GradientFeed(PieceSource(stream, piece: .max, isLive: true), .arrow)
    let found = try lines(&feed)
    let text = try #require(refusal(of: found.first))
    #expect(found.count == 1 && text.contains("lists of column 'weight_grad' one after another"))
  }
}
