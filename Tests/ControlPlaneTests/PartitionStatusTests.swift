import Dataflow
import Operators
import Records
import Stream
import Testing

@testable import Supervision

/// The status of a stream whose partitions run each by itself.
@Suite struct PartitionStatusTests {
  private let blank = StreamStatus.made("orders", state: .starting)

  @Test func `counts add up, and the worst state is shown`() {
    var parts = [3, 5, 8].map { ($0, StreamStatus.made("orders")) }
    parts[1].1.state = .backingOff
    parts[1].1.lastError = "no answer"
    let status = StreamStatus(of: parts, or: blank)
    #expect(status.partitions == [3, 5, 8])
    #expect(status.state == .backingOff && status.lastError == "partition 5: no answer")
    #expect(status.records == 3 * 615 && status.bytesOut == 9000)
    #expect(status.events == ["spike": 6])
    #expect(status.changes == [ChangeOutcome("gradients", .stale): 3])
    #expect(status.batchLatency.count == 12)
    #expect(status.queues == ["emit": QueueDepth(elements: 6, bytes: 3 * 4096)])
  }

  @Test func `alarms tell their partition, and a stream is frozen if all partitions are`() throws {
    var parts = [3, 5].map { ($0, StreamStatus.made("orders")) }
    for index in parts.indices { parts[index].1.driftAlarms = try DriftAlarm.made(["x"]) }
    parts[0].1.isFrozen = true
    #expect(StreamStatus(of: parts, or: blank).driftAlarms.map(\.partition) == [3, 5])
    #expect(!StreamStatus(of: parts, or: blank).isFrozen)
    parts[1].1.isFrozen = true
    #expect(StreamStatus(of: parts, or: blank).isFrozen)
  }

  /// A partition that has not begun has no counts of keys. They must not hide those of the others.
  @Test(arguments: [0, 1, 2]) func `keys are counted whichever partition begins last`(last: Int) {
    var parts = [0, 1, 2].map { ($0, StreamStatus.made("orders")) }
    for index in parts.indices where index != last {
      parts[index].1.keys = KeyCounts(known: 10 + index, unknown: 4)
    }
    let status = StreamStatus(of: parts, or: blank)
    #expect(status.keys == KeyCounts(known: 23 - last, unknown: 8))
  }

  @Test func `without partitions it is that of the stream`() {
    #expect(StreamStatus(of: [], or: blank) == blank)
  }
}
