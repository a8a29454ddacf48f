internal import Records

/// The text of decimal numbers of any width.
enum DecimalText {
  /// The text of an integer in two's complement, with a point before its last `scale` digits.
  static func text(littleEndian bytes: ArraySlice<UInt8>, scale: Int) -> [UInt8] {
    let isNegative = bytes.last.map { $0 >= 0x80 } ?? false
    var limbs = [UInt64](repeating: isNegative ? .max : 0, count: 4)
    for (index, byte) in bytes.enumerated() {
      let shift = UInt64(index % 8 * 8)
      limbs[index / 8] = limbs[index / 8] & ~(0xFF << shift) | UInt64(byte) << shift
    }
    if isNegative { negate(&limbs) }
    var digits: [UInt8] = []
    while limbs.contains(where: { $0 != 0 }) {
      digits.append(UInt8(ascii: "0") + UInt8(divideByTen(&limbs)))
    }
    if scale < 0, !digits.isEmpty { digits = zeros(-scale) + digits }
    if digits.count <= max(0, scale) { digits += zeros(max(0, scale) + 1 - digits.count) }
    if scale > 0 { digits.insert(UInt8(ascii: "."), at: scale) }
    if isNegative { digits.append(UInt8(ascii: "-")) }
    return digits.reversed()
  }

  private static func zeros(_ count: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(ascii: "0"), count: count)
  }

  private static func negate(_ limbs: inout [UInt64]) {
    var carry: UInt64 = 1
    for index in limbs.indices {
      let (sum, overflow) = (~limbs[index]).addingReportingOverflow(carry)
      limbs[index] = sum
      carry = overflow ? 1 : 0
    }
  }

  /// Divides, and returns the remainder.
  private static func divideByTen(_ limbs: inout [UInt64]) -> UInt64 {
    var remainder: UInt64 = 0
    for index in limbs.indices.reversed() {
      let (quotient, rest) = (10 as UInt64).dividingFullWidth((remainder, limbs[index]))
      limbs[index] = quotient
      remainder = rest
    }
    return remainder
  }
}

extension ByteBuffer {
  /// Appends an integer.
  func appendDigits(of number: some FixedWidthInteger) {
    var rest = UInt64(number.magnitude)
    var digits: [UInt8] = []
    repeat {
      digits.append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    if number < 0 { append(UInt8(ascii: "-")) }
    append(Array(digits.reversed()))
  }

  /// Appends the last digits of a number that is not negative, with leading zeros.
  private func appendPadded(_ number: Int, _ count: Int) {
    var unit = 1
    for _ in 1..<count { unit *= 10 }
    var rest = number
    while unit > 0 {
      append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / unit % 10))
      rest %= unit
      unit /= 10
    }
  }

  /// Appends a date of the Gregorian calendar as `2026-11-27`. A year after 9999 has a plus sign, one before 0 a minus.
  ///
  /// - Parameter days: since 1970.
  func appendDate(days: Int) {
    let date = CivilDate(days: days)
    if !(0...9999).contains(date.year) { append(UInt8(ascii: date.year < 0 ? "-" : "+")) }
    let magnitude = abs(date.year)
    if magnitude > 9999 { appendDigits(of: magnitude) } else { appendPadded(magnitude, 4) }
    append(UInt8(ascii: "-"))
    appendPadded(date.month, 2)
    append(UInt8(ascii: "-"))
    appendPadded(date.day, 2)
  }

  /// Appends a time of day as `12:30:00.250`, with the digits of the unit.
  ///
  /// - Parameter value: 0 or more, and less than a day.
  func appendTime(_ value: Int, _ unit: ArrowType.Unit) {
    let (seconds, fraction) = value.flooredDivision(by: unit.perSecond)
    appendPadded(seconds / 3600, 2)
    append(UInt8(ascii: ":"))
    appendPadded(seconds / 60 % 60, 2)
    append(UInt8(ascii: ":"))
    appendPadded(seconds % 60, 2)
    guard unit != .seconds else { return }
    append(UInt8(ascii: "."))
    appendPadded(fraction, unit.digits)
  }

  /// Appends a time as ISO 8601 writes it: without a zone as it is, with an offset such as `+02:00` in that, and with
  /// any other zone in UTC.
  func appendTimestamp(_ value: Int, _ unit: ArrowType.Unit, zone: String?) {
    let offset = zone.flatMap { Self.offset(of: $0) }
    let (seconds, fraction) = value.flooredDivision(by: unit.perSecond)
    let (days, second) = (seconds &+ (offset ?? 0)).flooredDivision(by: 86_400)
    appendDate(days: days)
    append(UInt8(ascii: "T"))
    appendTime(unit == .seconds ? second : second * unit.perSecond + fraction, unit)
    guard let zone else { return }
    append(Array((offset == nil ? "Z" : zone).utf8))
  }

  /// The seconds of an offset such as `+02:00`; nil for another zone.
  private static func offset(of zone: String) -> Int? {
    let bytes = Array(zone.utf8)
    guard bytes.count == 6, bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-"),
      bytes[3] == UInt8(ascii: ":"), let hours = Int(zone.dropFirst().prefix(2)),
      let minutes = Int(zone.suffix(2)), hours < 24, minutes < 60, hours >= 0, minutes >= 0
    else { return nil }
    return (bytes[0] == UInt8(ascii: "-") ? -1 : 1) * (hours * 3600 + minutes * 60)
  }
}

extension ArrowType.Unit {
  /// The digits of a second after the point.
  fileprivate var digits: Int {
    switch self {
    case .seconds: 0
    case .milliseconds: 3
    case .microseconds: 6
    case .nanoseconds: 9
    }
  }

  var perDay: Int { 86_400 * perSecond }

  fileprivate var perSecond: Int {
    switch self {
    case .seconds: 1
    case .milliseconds: 1000
    case .microseconds: 1_000_000
    case .nanoseconds: 1_000_000_000
    }
  }
}
