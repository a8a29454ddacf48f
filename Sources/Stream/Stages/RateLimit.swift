internal import Dataflow

/// The most input that a stream may read in a second.
package struct RateLimits: Sendable, Equatable {
  package var bytes: Int?
  package var records: Int?

  package init(bytes: Int? = nil, records: Int? = nil) {
    self.bytes = bytes
    self.records = records
  }
}

/// Tells IngestStage how many bytes it may read now, and how many records it may take.
///
/// No second contains more than the limit, wherever the second begins. Input below the limit never waits.
struct RateLimit: Sendable {
  private var bytes: RateWindow?
  private var records: RateWindow?
  private let clock: Clock

  init(_ limits: RateLimits, clock: Clock) {
    bytes = limits.bytes.map { RateWindow(limit: $0) }
    records = limits.records.map { RateWindow(limit: $0) }
    self.clock = clock
  }

  /// The number of bytes that may be read now, at most `most`.
  mutating func bytesNow(most: Int) -> Int {
    bytes == nil ? most : min(most, bytes?.left(at: clock.now()) ?? most)
  }

  /// The number of records that may be taken now.
  mutating func recordsNow() -> Int {
    records == nil ? .max : records?.left(at: clock.now()) ?? .max
  }

  /// How long to wait until a byte may be read, in seconds; nil if one may be read now.
  mutating func secondsToBytes() -> Double? { bytes?.secondsLeft(at: clock.now()) }

  /// How long to wait until a record may be taken, in seconds; nil if one may be taken now.
  mutating func secondsToRecords() -> Double? { records?.secondsLeft(at: clock.now()) }

  /// Records bytes that were read.
  mutating func take(bytes count: Int) {
    if bytes != nil { bytes?.take(count, at: clock.now()) }
  }

  /// Records records that were taken.
  mutating func take(records count: Int) {
    if records != nil { records?.take(count, at: clock.now()) }
  }
}

// Invariants:
// - `slots` contains the amounts of the last second, the oldest first, and `taken` is its sum.
// - A slot lasts at most `slotSeconds`, and counts until a second after its last amount. So the sum of a second is
//   never too small.

/// The amounts of the last second, against a limit.
private struct RateWindow: Sendable {
  private struct Slot: Sendable {
    var begin: Instant
    var end: Instant
    var amount: Int
  }

  private static let seconds = 1.0
  /// A pause is not shorter, so that a limit causes at most 100 steps a second.
  private static let slotSeconds = 0.01

  private let limit: Int
  private var slots: [Slot] = []
  private var taken = 0

  init(limit: Int) { self.limit = limit }

  mutating func left(at now: Instant) -> Int {
    let old = slots.prefix { now >= $0.end + Self.seconds }
    if !old.isEmpty {
      taken -= old.reduce(0) { $0 + $1.amount }
      slots.removeFirst(old.count)
    }
    return max(0, limit - taken)
  }

  mutating func secondsLeft(at now: Instant) -> Double? {
    guard left(at: now) == 0, let first = slots.first else { return nil }
    return (first.end + Self.seconds).seconds(since: now)
  }

  mutating func take(_ amount: Int, at now: Instant) {
    guard amount > 0 else { return }
    taken += amount
    if let last = slots.last, now < last.begin + Self.slotSeconds {
      slots[slots.count - 1].end = now
      slots[slots.count - 1].amount += amount
    } else {
      slots.append(Slot(begin: now, end: now, amount: amount))
    }
  }
}
