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

/// A moment in nanoseconds since 1970, UTC.
package enum EventTime {
  /// The times that the state can hold: those of up to 2^53 microseconds, 1685 to 2255.
  package static let range = -(Int64(1) << 53) * 1000...(Int64(1) << 53) * 1000

  /// The time in ISO 8601, UTC, to the second.
  package static func text(nanoseconds: Int64) -> String {
    let (days, second) = floored(Int(floored(Int(nanoseconds), 1_000_000_000).quotient), 86_400)
    let date = civil(days: days)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(date.year)-\(two(date.month))-\(two(date.day))T"
      + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
  }

  /// The days from 1970-01-01 to a date of the Gregorian calendar.
  ///
  /// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  package static func days(year: Int, month: Int, day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let (era, yearOfEra) = floored(year, 400)
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
    let (era, day) = floored(days + 719_468, 146_097)
    let yearOfEra = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1
    )
  }

  private static func floored(_ number: Int, _ divisor: Int) -> (quotient: Int, rest: Int) {
    let (quotient, rest) = number.quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
  }
}
