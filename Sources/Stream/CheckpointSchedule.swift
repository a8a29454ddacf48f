internal import Dispatch

/// When the state of a running stream is kept, besides at its end.
package struct CheckpointSchedule: Sendable, Equatable {
  /// So long after the last one, at the next cut; in a silence `SupervisedStream` asks for it. Nil is not by
  /// time.
  package var intervalSeconds: Double?
  /// After so many batches; nil is not by number.
  package var everyBatches: Int?

  package init(intervalSeconds: Double? = nil, everyBatches: Int? = nil) {
    self.intervalSeconds = intervalSeconds
    self.everyBatches = everyBatches
  }

  /// At the end of the stream alone.
  package static let atEnd = CheckpointSchedule()

  func isDue(after batches: Int, since last: DispatchTime) -> Bool {
    if let everyBatches, batches >= everyBatches { return true }
    guard let intervalSeconds else { return false }
    return DispatchTime.now() >= last + intervalSeconds
  }
}
