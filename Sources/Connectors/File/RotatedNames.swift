internal import Glibc

/// The names of the complete files of one path, in the order of time: `weather.csv.zst` becomes
/// `weather-20261122T091500Z-000001.csv.zst`.
struct RotatedNames: Sendable {
  /// The variable parts of a name: the time of rotation (UTC, to the second), and a number.
  struct Mark: Sendable, Hashable {
    var stamp: String
    var sequence: Int
  }

  private let prefix: String
  private let suffix: String

  /// - Parameter name: the last part of the path of the growing file.
  init(of name: String) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    // Keeps `.csv.zst` together. A hidden file has a dot at the front, which starts no extension.
    let wanted = parts.last == "zst" && parts.count > 2 && !parts[parts.count - 3].isEmpty ? 2 : 1
    let extensions = parts.count > 1 && !(parts.count == 2 && parts[0].isEmpty) ? wanted : 0
    prefix = parts.dropLast(extensions).joined(separator: ".") + "-"
    suffix = parts.suffix(extensions).map { ".\($0)" }.joined()
  }

  func name(_ mark: Mark) -> String {
    "\(prefix)\(mark.stamp)-\(padded(mark.sequence, to: 6))\(suffix)"
  }

  /// The variable parts of a name; nil if the name has another form.
  func mark(of name: String) -> Mark? {
    guard name.hasPrefix(prefix), name.hasSuffix(suffix),
      name.count > prefix.count + suffix.count
    else { return nil }
    let parts = name.dropFirst(prefix.count).dropLast(suffix.count).split(separator: "-")
    guard parts.count == 2, parts[1].count <= 15, let sequence = Int(parts[1]), sequence > 0
    else { return nil }
    let mark = Mark(stamp: String(parts[0]), sequence: sequence)
    return mark.stamp.count == 16 && self.name(mark) == name ? mark : nil
  }

  /// A time in UTC in the basic format of ISO 8601, such as `20261122T091500Z`.
  ///
  /// - Parameter seconds: since 1970, UTC.
  static func stamp(_ seconds: Double) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
    let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map(Int.init)
    let digits = (date + clock).map { padded($0, to: 2) }
    return digits[..<3].joined() + "T" + digits[3...].joined() + "Z"
  }
}

private func padded(_ number: Int, to width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
