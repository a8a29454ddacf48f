internal import Dataflow

/// The times by which a stage measures batches.
struct BatchTimes: Sendable {
  private let clock: Clock
  /// The start of the current step.
  private(set) var now: Instant
  private var lastCut: Instant?
  private var lastWallClock: Instant?

  init(_ clock: Clock) {
    self.clock = clock
    now = clock.now()
  }

  mutating func beginStep() { now = clock.now() }

  /// Records the cut of a batch.
  mutating func cut() { lastCut = now }

  /// The wall clock, in seconds since 1970; nil if it was read less than a second ago.
  mutating func wallSeconds() -> Double? {
    if let lastWallClock, now.seconds(since: lastWallClock) < 1 { return nil }
    lastWallClock = now
    return clock.wallSeconds()
  }

  /// The time since the cut of the previous batch, for a half-life in seconds; nil before the first.
  var secondsSinceCut: Double? { lastCut.map { now.seconds(since: $0) } }
}
