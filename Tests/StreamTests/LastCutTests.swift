import Codecs
import Connectors
import Dataflow
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// A source of two splits, the first of which cannot be finished. The second has other columns.
private struct StuckSource: Source {
  let name = "stuck"
  let size: Int? = nil
  let endsAnywhere = false
  let done: OpaqueBytes? = OpaqueBytes()
  var cannotFinish: Bool
  private var texts = [(0, "a,b\n1,2\n3,4\n"), (1, "b,a\n5,6\n")]
  private var hasEnded = false

  init(cannotFinish: Bool) { self.cannotFinish = cannotFinish }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceEvent {
    guard let (split, text) = texts.first else { return .idle(Awaiting(nil, seconds: 1)) }
    if split == 1, !hasEnded {
      hasEnded = true
      return .ended(0)
    }
    texts.removeFirst()
    buffer.copyBytes(from: text.utf8)
    return .data(split, .bytes(text.utf8.count))
  }

  func start(of split: SplitID) -> SplitStart { SplitStart(name: "split \(split)") }
  func mark(of split: SplitID, at offset: Int) -> OpaqueBytes? { OpaqueBytes("\(offset)") }
  mutating func abandon(_ split: SplitID) {}

  mutating func finish(_ split: SplitID) throws(FileError) {
    if cannotFinish { throw FileError(operation: .read, path: "split 0", errno: EIO) }
  }
}

@Suite struct LastCutTests {
  /// The barriers and the numbers of records that leave before the other columns stop the stream.
  private func run(cannotFinish: Bool) throws -> (barriers: [Barrier], records: [Int]) {
    var configuration = csvConfiguration()
    configuration.decoder.features = [FeaturePattern("a"), FeaturePattern("b")]
    configuration.isLive = true
    var stage = try IngestStage(
      IngestContext(
        configuration, schedule: CheckpointSchedule(intervalSeconds: 1000),
        metrics: StreamMetrics(),
        inbox: RequestInbox(), clock: ManualClock().clock),
      source: StuckSource(cannotFinish: cannotFinish))
    var barriers: [Barrier] = []
    var records: [Int] = []
    let error = #expect(throws: StreamError.self) {
      for _ in 0..<100 {
        _ = try stage.step(.resume) { item in
          switch item {
          case .barrier(let barrier): barriers.append(barrier)
          case .records(let block): records.append(block.columns.count)
          default: break
          }
        }
      }
    }
    #expect(error?.isInput == true)
    return (barriers, records)
  }

  @Test func `no checkpoint follows a last cut after which a split could not be finished`() throws {
    let stuck = try run(cannotFinish: true)
    #expect(stuck.records == [2])
    // It would hold the records, and no cursor of their split: they would come twice.
    #expect(stuck.barriers.count == 1)
    #expect(stuck.barriers.first?.input.splits.map(\.records) == [0])
    let free = try run(cannotFinish: false)
    #expect(free.records == [2])
    #expect(free.barriers.map { $0.input.splits.map(\.split) } == [["split 0"], []])
  }
}
