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

/// Gradients of γ and β that a file brings beside the records.
struct GradientFeedTests {
  /// Batches of two records of x. Each step with a β gradient of −1 adds 1 to β.
  private func configuration() -> StreamConfiguration {
    csvConfiguration {
      $0.batch.size = 2
      $0.precision = .float64
      $0.normalization.isFrozen = true
      $0.operatorSettings[LearnSettings.optimizer] = .sgd
      $0.operatorSettings[LearnSettings.learningRate] = 1
      $0.operatorSettings[LearnSettings.maxStaleness] = 64
    }
  }

  private func line(version: Int = 0, after batch: Int? = nil) -> String {
    let after = batch.map { #","after_batch":\#($0)"# } ?? ""
    return #"{"version":\#(version),"weight_grad":[0],"bias_grad":[-1]\#(after)}"# + "\n"
  }

  private func feed(_ text: String) -> GradientFeed {
    GradientFeed(PieceSource(Array(text.utf8), piece: 97, isLive: true))
  }

  /// By how much β has moved y, for each of ten records.
  private func shifts(_ run: SerialRun) throws -> [Double] {
    let plain = try SerialRun(configuration(), input)
    return zip(column(1, of: run.text), column(1, of: plain.text)).map { ($0 - $1).rounded() }
  }

  private let input = csv([("x", (0..<10).map { Double($0 * $0 % 7) })])

  @Test(arguments: [1, 17, Int.max])
  func `gradients apply after the batch that they name, and in their order`(piece: Int) throws {
    // The second line comes after the first. The last batch is the fifth.
    let text = line(after: 1) + line(after: 0) + line(after: 3) + line(after: 5) + line(after: 6)
    let run = try SerialRun(configuration(), input, piece: piece, gradients: feed(text))
    #expect(try shifts(run) == [0, 0, 2, 2, 2, 2, 3, 3, 3, 3])
    let checkpoint = try #require(run.checkpoint)
    #expect(checkpoint.state[real: "bias"] == [4])
    #expect(checkpoint.state[count: "evenkeel.learn.steps"] == [4])
    #expect(checkpoint.gradients?.batches == 5)
    #expect(checkpoint.gradients?.input.splits.isEmpty == false)
    #expect(checkpoint.gradients?.input.records == 4)
    #expect(run.metrics.changes == [ChangeOutcome("gradients", .applied): 4])
  }

  @Test func `gradients that name no batch apply at the next moment between two`() throws {
    let run = try SerialRun(configuration(), input, gradients: feed(line() + line(version: 1)))
    #expect(try shifts(run) == [0, 0, 2, 2, 2, 2, 2, 2, 2, 2])
  }

  @Test func `lines that cannot be used are counted, told once, and passed over`() throws {
    let warnings = Mutex<[String]>([])
    let long = String(repeating: " ", count: GradientFeed.mostLineBytes) + line()
    let text =
      "no json\n" + line(version: 9) + "\n" + long + #"{"version":0,"after":1}"# + "\n" + line()
      + #"{"version":0,"weight_grad":[1],"bias_grad":[1],"after_batch":-1}"# + "\n" + line()
    let run = try SerialRun(configuration(), input, piece: 1000, gradients: feed(text)) { text in
      warnings.withLock { $0.append(text) }
    }
    #expect(try #require(run.checkpoint).state[real: "bias"] == [2])
    let expected = [
      ChangeOutcome("gradients", .applied): 2, ChangeOutcome("gradients", .stale): 1,
      ChangeOutcome("gradients", .refused): 4,
    ]
    #expect(run.metrics.changes == expected)
    #expect(
      warnings.withLock { $0 } == [
        "gradients refused, line 1 of pieces: the body is not JSON"
      ])
  }

  @Test func `a line without its end waits for the rest`() throws {
    let whole = line(after: 1)
    let run = try SerialRun(
      configuration(), input, gradients: feed(whole + String(whole.dropLast(20))))
    #expect(try #require(run.checkpoint).state[real: "bias"] == [1])
    #expect(run.checkpoint?.gradients?.input.records == 1)
  }

  @Test func `a later run goes on after the last line that was taken`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("g.ndjson", (line(after: 1) + line(after: 2)).utf8)
    let connector = ConnectorContext(fileSystem: POSIXFileSystem())
    var feed = try GradientFeed(GradientInput(path: path), at: nil, in: connector)
    var cursors = [try feed.position()]
    var taken: [[Int]] = []
    func take(_ feed: inout GradientFeed) throws {
      var numbers: [Int] = []
      while let line = try feed.take() { numbers.append(line.number) }
      taken.append(numbers)
    }
    for _ in 0..<3 {
      try take(&feed)
      cursors.append(try feed.position())
      feed.batchCut()
    }
    #expect(taken == [[], [1], [2]])
    // The file grows, and its later lines follow.
    try directory.write("g.ndjson", (line(after: 1) + line(after: 2) + line(after: 2)).utf8)
    for (cursor, rest) in zip(cursors, [[1, 2, 3], [1, 2, 3], [2, 3], [3]]) {
      var later = try GradientFeed(GradientInput(path: path), at: cursor, in: connector)
      #expect(later.gap == nil && later.batches == cursor.batches)
      while later.batches < 3 { later.batchCut() }
      taken = []
      try take(&later)
      #expect(taken == [rest])
    }
  }

  @Test func `a file may come later`() throws {
    let directory = try TemporaryDirectory()
    let connector = ConnectorContext(fileSystem: POSIXFileSystem())
    var feed = try GradientFeed(GradientInput(path: directory.file("g")), at: nil, in: connector)
    let none = try feed.take()
    #expect(none == nil)
    feed = try GradientFeed(
      GradientInput(path: directory.file("g")), at: feed.position(), in: connector)
    try directory.write("g", line().utf8)
    let first = try feed.take()
    #expect(first?.number == 1)
    // In a directory that is not there, none can come.
    #expect(throws: FileError.self) {
      try GradientFeed(GradientInput(path: directory.file("none/g")), at: nil, in: connector)
    }
  }

  /// A checkpoint of a stream whose γ and β are frozen.
  private func frozen() throws -> Checkpoint {
    var checkpoint = try #require(SerialRun(configuration(), input).checkpoint)
    checkpoint.state[count: "evenkeel.learn_freeze.frozen"] = [1]
    return checkpoint
  }

  @Test func `lines that come while γ and β are frozen are passed over, and count as refused`()
    throws
  {
    let warnings = Mutex<[String]>([])
    let run = try SerialRun(
      configuration(), input, initial: frozen(), gradients: feed(line(after: 1) + line(after: 2))
    ) { text in warnings.withLock { $0.append(text) } }
    let checkpoint = try #require(run.checkpoint)
    #expect(checkpoint.state[real: "bias"] == [0])
    #expect(checkpoint.gradients?.input.records == 2)
    #expect(run.metrics.changes == [ChangeOutcome("gradients", .refused): 2])
    #expect(
      warnings.withLock { $0 } == [
        "gradients refused, line 1 of pieces: expected γ and β that may be learned, found them frozen; "
          + "thaw them with parameters/thaw"
      ])
  }

  @Test func `a replay over a checkpoint with frozen γ and β applies all lines, and thaws nothing`()
    throws
  {
    let directory = try TemporaryDirectory()
    let path = try directory.write("g.ndjson", (line() + line()).utf8)
    var replay = try GradientReplay(frozen(), configuration())
    try replay.apply(1...2, of: path, in: POSIXFileSystem())
    let state = replay.checkpoint.state
    #expect(replay.steps == 2 && state[real: "bias"] == [2])
    #expect(state[count: "evenkeel.learn_freeze.frozen"] == [1])
  }

  /// The pauses of a live stream that has one batch, and lines of gradients.
  ///
  /// - Parameter seconds: how long each line takes.
  private func pauses(_ lines: [String], each seconds: Double = 0) throws -> [Double?] {
    var configuration = configuration()
    configuration.isLive = true
    let clock = ManualClock()
    var gradients = MadeSource(lines.map { .bytes(0, Array($0.utf8)) })
    gradients.onRead = { clock.advance(by: seconds) }
    var stage = try IngestStage(
      IngestContext(
        configuration, metrics: StreamMetrics(), inbox: RequestInbox(), clock: clock.clock),
      source: PieceSource(Array("x\n1\n2\n".utf8), piece: .max, isLive: true),
      gradients: GradientFeed(gradients))
    var pauses: [Double?] = []
    for _ in 0..<30 {
      // A stream is opened once there was time for more records.
      clock.advance(by: 1)
      let progress = try stage.step(.resume) { _ in }
      if case .waits(let awaiting) = progress { pauses.append(awaiting.seconds) }
    }
    return pauses
  }

  @Test func `a stream without records looks again soon while lines come`() throws {
    // The cut takes as many as it may, and the first look after it the last one.
    let found = try pauses(Array(repeating: line(), count: GradientFeed.mostLines + 1))
    #expect(found.filter { $0 == GradientFeed.shortPauseSeconds }.count == 1)
    #expect(found.last == GradientFeed.pauseSeconds && !found.contains(0))
  }

  @Test func `lines that name no batch take turns with the records of a live stream`() throws {
    let slow = 2 * GradientFeed.turnSeconds
    // The cut takes as many as it may, and each look takes another one.
    let found = try pauses(
      Array(repeating: line(), count: GradientFeed.mostLines + 6), each: slow)
    #expect(found.filter { $0 == 0 }.count == 6)
    #expect(found.last == GradientFeed.pauseSeconds)
    // Those that name their batch all come at its cut.
    let named = try pauses(Array(repeating: line(after: 1), count: 6), each: slow)
    #expect(!named.contains(0) && !named.contains(GradientFeed.shortPauseSeconds))
  }

  @Test func `the position is in the file of a checkpoint`() throws {
    let run = try SerialRun(configuration(), input, gradients: feed(line(after: 1)))
    let checkpoint = try #require(run.checkpoint)
    let read = try Checkpoint(serialized: checkpoint.serialized(), .ofOperators)
    #expect(read.gradients == checkpoint.gradients && read.gradients?.batches == 5)
    var damaged = checkpoint
    damaged.gradients?.batches = -1
    #expect(throws: ContentError.self) { try damaged.serialized() }
  }
}
