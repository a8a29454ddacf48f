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

/// Tells IngestStage when it may read again.
///
/// A read costs as much time as its bytes, and its records, take at the limit. One read may go beyond it; the next
/// waits until the time of both has passed. A second that passed unused is kept, not more.
struct RateLimit: Sendable {
  private static let burstSeconds = 1.0
  /// A guess: a limit of records decides by it how much is read at once.
  private static let recordBytes = 64
  private static let leastReadBytes = 512

  private let limits: RateLimits
  private let clock: Clock
  /// When the input so far has used up its time.
  private var paidUntil: Instant

  init(_ limits: RateLimits, clock: Clock) {
    self.limits = limits
    self.clock = clock
    paidUntil = clock.now()
  }

  /// How long to wait before the next read, in seconds; nil if it may be now.
  var secondsLeft: Double? {
    guard limits != RateLimits() else { return nil }
    let seconds = paidUntil.seconds(since: clock.now()) - Self.burstSeconds
    return seconds > 0 ? seconds : nil
  }

  /// How many bytes to read at once, so that one read does not go far beyond the limit.
  func readBytes(most: Int) -> Int {
    let perSecond = [
      limits.bytes,
      limits.records.map { $0.multipliedReportingOverflow(by: Self.recordBytes) }
        .map { $0.overflow ? .max : $0.partialValue },
    ].compactMap(\.self).min()
    return min(most, max(Self.leastReadBytes, perSecond ?? most))
  }

  /// Records input that was read.
  mutating func take(bytes: Int = 0, records: Int = 0) {
    let seconds = max(
      limits.bytes.map { Double(bytes) / Double($0) } ?? 0,
      limits.records.map { Double(records) / Double($0) } ?? 0)
    guard seconds > 0 else { return }
    paidUntil = max(paidUntil, clock.now()) + seconds
  }
}
