/// The units of time. Units below a second have the number per second, since that division rounds only once.
private let timeUnits: [(name: String, seconds: Double, perSecond: Double)] = [
  ("ms", 1, 1000), ("us", 1, 1_000_000), ("s", 1, 1), ("m", 60, 1), ("h", 3600, 1),
  ("d", 86_400, 1),
]

/// Units of size, in bytes.
private let sizeUnits: [(name: String, bytes: Int)] = [
  ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
]

/// The seconds of a duration with a unit, such as `250ms`; nil for other texts.
func parseSeconds(_ text: String) -> Double? {
  for unit in timeUnits where text.hasSuffix(unit.name) {
    guard let count = parseDecimal(text.dropLast(unit.name.count)) else { continue }
    return count * unit.seconds / unit.perSecond
  }
  return nil
}

/// The bytes of a size with a unit, such as `64KiB`; nil for other texts, and if `Int` cannot hold it.
func parseBytes(_ text: String) -> Int? {
  for unit in sizeUnits where text.hasSuffix(unit.name) {
    guard let count = parseDecimal(text.dropLast(unit.name.count)) else { continue }
    return Int(exactly: (count * Double(unit.bytes)).rounded())
  }
  return nil
}

/// A number with digits, at most one point, and possibly a space after it.
func parseDecimal(_ text: Substring) -> Double? {
  let number = text.last == " " ? text.dropLast() : text
  guard number.utf8.first.map(isDigit) == true,
    number.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: ".") })
  else { return nil }
  return Double(number).flatMap { $0.isFinite ? $0 : nil }
}

private func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// A duration as a user writes it.
func durationText(_ seconds: Double) -> String {
  let unit = [("d", 86_400.0), ("h", 3600), ("m", 60), ("s", 1), ("ms", 1e-3)].first {
    let count = seconds / $0.1
    return count >= 1 && count.rounded() == count
  }
  guard seconds > 0, let unit else { return plainNumber(seconds * 1000) + "ms" }
  return plainNumber(seconds / unit.1) + unit.0
}

/// A size as a user writes it.
func sizeText(_ bytes: Int) -> String {
  let unit = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)].first {
    bytes >= $0.1 && bytes % $0.1 == 0
  }
  guard let unit else { return "\(bytes)B" }
  return "\(bytes / unit.1)\(unit.0)"
}

private func plainNumber(_ number: Double) -> String {
  Int(exactly: number).map(String.init) ?? number.description
}
