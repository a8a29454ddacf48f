internal import Dataflow

/// The times that a stage tells batches by.
struct BatchTimes: Sendable {
  private let clock: Clock
  /// When the step began that is being taken.
  private(set) var now: Instant
  private var lastCut: Instant?

  init(_ clock: Clock) {
    self.clock = clock
    now = clock.now()
  }

  mutating func beginStep() { now = clock.now() }

  /// Notes the cut of a batch.
  mutating func cut() { lastCut = now }

  /// The time since the cut of the batch before, for a half-life in seconds; nil before the first.
  var secondsSinceCut: Double? { lastCut.map { now.seconds(since: $0) } }
}
