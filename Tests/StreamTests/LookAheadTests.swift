import BatchNormalization
import Codecs
import Configuration
import Connectors
import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// The look at the first records of a live stream, before its features are chosen.
@Suite struct LookAheadTests {
  /// A live source of several producers that gives what a test says, and then waits.
  private struct ScriptedSource: Source {
    enum Event {
      case bytes(SplitID, String)
      case ended(SplitID)
      case idle
    }

    let name = "script"
    let size: Int? = nil
    let endsAnywhere = true
    var script: [Event]

    mutating func read(
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(FileError) -> SourceEvent {
      guard !script.isEmpty else { return .idle(Awaiting(.readable(descriptor: 0))) }
      switch script.removeFirst() {
      case .bytes(let split, let text):
        buffer.copyBytes(from: Array(text.utf8))
        return .data(split, .bytes(text.utf8.count))
      case .ended(let split): return .ended(split)
      case .idle: return .idle(Awaiting(.readable(descriptor: 0)))
      }
    }

    mutating func abandon(_ split: SplitID) {}
  }

  /// Drives the first stage, moving its clock by `seconds` at each wait until it has waited so often.
  private struct Run {
    var opening: StreamOpening?
    /// The records that had left at each wait, and for how long it was to wait at most.
    var waits: [(records: Int, seconds: Double?)] = []
    var rejected: [String] = []
    var openings = 0

    init(
      _ script: [ScriptedSource.Event], waits count: Int, seconds: Double = 0.4,
      _ change: (inout StreamConfiguration) -> Void = { _ in }
    ) throws {
      let time = ManualClock()
      let configuration = csvConfiguration {
        $0.isLive = true
        change(&$0)
      }
      var stage = try IngestStage(
        IngestContext(
          configuration, metrics: StreamMetrics(), inbox: RequestInbox(), clock: time.clock),
        source: ScriptedSource(script: script))
      var records = 0
      while waits.count < count {
        let progress = try stage.step(.resume) { item in
          switch item {
          case .opened(let found):
            opening = found
            openings += 1
          case .records(let block): records += block.columns.count
          case .rejected(let bad): rejected += bad.map(\.fault.description)
          default: break
          }
        }
        guard case .waits(let awaiting) = progress else { continue }
        waits.append((records, awaiting.seconds))
        time.advance(by: seconds)
      }
    }
  }

  @Test func `a live stream is opened after max_delay by the records that came`() throws {
    let run = try Run(
      [
        .bytes(0, "a,b\n1,\n"), .idle, .bytes(0, "2,5\n3,"), .idle, .idle, .idle,
        .bytes(0, "7\n4,8\n"),
      ],
      waits: 5)
    #expect(run.opening?.schema.names == ["a", "b"])
    // Two records had come when the second was over; the first was read no more than 1 s before.
    #expect(run.waits.map(\.records) == [0, 0, 0, 2, 4])
    let limits = run.waits.prefix(3).map { $0.seconds ?? .infinity }
    #expect(zip(limits, [1, 0.6, 0.2]).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(run.opening?.choice?.records == 2)
    #expect(run.openings == 1)
  }

  @Test func `a record that comes after max_delay opens the stream at once`() throws {
    let run = try Run(
      [.bytes(0, "a,b\n1,"), .idle, .idle, .idle, .idle, .bytes(0, "2\n")], waits: 5)
    #expect(run.waits.map(\.records) == [0, 0, 0, 0, 1])
    #expect(run.waits[3].seconds == nil)
    #expect(run.opening?.schema.names == ["a", "b"])
  }

  @Test func `named features need no look ahead`() throws {
    let run = try Run([.bytes(0, "a,b\n1,2\n")], waits: 1) {
      $0.decoder.features = [FeaturePattern("b")]
    }
    #expect(run.waits.map(\.records) == [1])
    #expect(run.opening?.choice == nil)
  }

  @Test func `a producer that goes while its records are looked at loses none of them`() throws {
    let run = try Run([.bytes(0, "a,b\n1,2\n3,4\n5,"), .ended(0)], waits: 1)
    #expect(run.waits.map(\.records) == [2])
    #expect(run.opening?.schema.names == ["a", "b"])
    #expect(run.rejected == ["expected the rest of a record, found the end of its producer"])
  }

  @Test func `producers whose start differs have the features of the one that opens the stream`()
    throws
  {
    let rows = (0..<LookAhead.mostRecords).map { "\($0 % 5),\($0 % 3)\n" }.joined()
    let run = try Run(
      [.bytes(0, "a,b\nx,1\ny,2\nz,3\n"), .bytes(1, "a,b\n" + rows), .bytes(2, "a,b\n,\n")],
      waits: 4
    ) { $0.badRecords = .skip }
    #expect(run.opening?.schema.names == ["a", "b"])
    #expect(run.openings == 1)
    // The first one's texts are bad values, not other columns.
    #expect(
      run.rejected.allSatisfy { $0.hasPrefix("expected a number in feature 'a'") }
        && run.rejected.count == 3)
    #expect(run.waits.last?.records == LookAhead.mostRecords + 1)
  }

  // MARK: Checkpoints

  private func configuration(
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    csvConfiguration {
      $0.normalization.estimator = .total
      change(&$0)
    }
  }

  private func run(
    _ text: String, from checkpoint: String? = nil, in directory: TemporaryDirectory,
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) throws -> String {
    try directory.write("in.csv", text.utf8)
    var files = StreamFiles(input: directory.file("in.csv"), output: directory.file("out.csv"))
    files.checkpointIn = checkpoint.map { directory.file($0) }
    files.checkpointOut = directory.file("state")
    let run = try FileRun(configuration(change), files)
    if let failure = run.failure { throw failure }
    return String(decoding: try directory.read("out.csv"), as: UTF8.self)
  }

  @Test func `a run from a checkpoint has its features and looks at no record`() throws {
    let directory = try TemporaryDirectory()
    let rows = (0..<20).map { "\($0),\($0 % 3),\($0 % 2 == 0 ? "1" : "0")\n" }.joined()
    _ = try run("id,a,b\n" + rows, in: directory)
    // By themselves these would tell of other features.
    let text = try run("id,a,b\n4,2,k\n1,1,1\n", from: "state", in: directory) {
      $0.decoder.onInvalid = .missing
    }
    let last = try #require(text.split(separator: "\n").last).split(separator: ",")
    #expect(last[0] == "1" && last[1] != "1" && last[2] != "1")
    let kept = try CheckpointFile.read(
      directory.file("state"), configuration().stateReading, in: POSIXFileSystem())
    #expect(kept.features == ["a", "b"])
    #expect(kept.input?.opening?.choice?.leftOut.map(\.name) == ["id"])
    #expect(kept.input?.opening?.choice?.records == nil)
  }

  @Test func `other columns are chosen again where a checkpoint of others is accepted`() throws {
    let directory = try TemporaryDirectory()
    _ = try run("a,b\n1,2\n2,1\n", in: directory)
    #expect(throws: StreamError.self) {
      try run("a,c\n1,2\n2,1\n", from: "state", in: directory)
    }
    _ = try run("a,c\n1,2\n2,1\n", from: "state", in: directory) {
      $0.onMismatch = .matchByName
      $0.decoder.settings[CSVSettings.missingTokens] = ["-"]
    }
    let kept = try CheckpointFile.read(
      directory.file("state"), configuration().stateReading, in: POSIXFileSystem())
    #expect(kept.features == ["a", "c"])
  }
}
