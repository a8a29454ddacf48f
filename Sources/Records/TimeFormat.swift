/// How a column of event times spells them.
package enum TimeFormat: String, Sendable, CaseIterable {
  /// A date and a time of ISO 8601, as RFC 3339 has them. Without an offset it is UTC.
  case iso8601
  /// Seconds, or parts of them, since 1970, UTC.
  case seconds = "unix_s"
  case milliseconds = "unix_ms"
  case microseconds = "unix_us"
  case nanoseconds = "unix_ns"

  /// The nanoseconds in a unit; nil if the format has none.
  package var nanosecondsInUnit: Int64? {
    switch self {
    case .iso8601: nil
    case .seconds: 1_000_000_000
    case .milliseconds: 1_000_000
    case .microseconds: 1000
    case .nanoseconds: 1
    }
  }
}
