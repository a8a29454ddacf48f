/// A moment in nanoseconds since 1970, UTC.
package enum EventTime {
  /// The times that the state can hold: those of up to 2^53 microseconds, 1685 to 2255.
  package static let range = -(Int64(1) << 53) * 1000...(Int64(1) << 53) * 1000

  /// The time in ISO 8601, UTC, to the second.
  package static func text(nanoseconds: Int64) -> String {
    let seconds = Int(nanoseconds).flooredDivision(by: 1_000_000_000).quotient
    let (days, second) = seconds.flooredDivision(by: 86_400)
    let date = CivilDate(days: days)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(date.year)-\(two(date.month))-\(two(date.day))T"
      + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
  }
}
