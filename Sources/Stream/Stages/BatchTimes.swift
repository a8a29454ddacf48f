internal import Dataflow

/// The times by which a stage measures batches.
struct BatchTimes: Sendable {
  private let clock: Clock
  /// The start of the current step.
  private(set) var now: Instant
  private var lastCut: Instant?

  init(_ clock: Clock) {
    self.clock = clock
    now = clock.now()
  }

  mutating func beginStep() { now = clock.now() }

  /// Records the cut of a batch.
  mutating func cut() { lastCut = now }

  /// The time since the cut of the previous batch, for a half-life in seconds; nil before the first.
  var secondsSinceCut: Double? { lastCut.map { now.seconds(since: $0) } }
}
