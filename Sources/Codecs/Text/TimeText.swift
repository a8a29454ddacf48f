internal import Records

/// Reads texts of times as nanoseconds since 1970, UTC. Digits beyond the nanosecond are dropped.
enum TimeText {
  /// - Returns: nil if the text has another form, or tells a time that does not fit.
  static func nanoseconds(
    _ text: UnsafeBufferPointer<UInt8>, _ format: TimeFormat
  ) -> Int64? {
    var scanner = TimeScanner(text)
    let found = format.nanosecondsInUnit.map { scanner.number(of: $0) } ?? scanner.dateAndTime()
    guard let found, scanner.isAtEnd, EventTime.range.contains(found) else { return nil }
    return found
  }

  /// - Returns: nil for a number that is no time.
  static func nanoseconds(_ number: Double, _ format: TimeFormat) -> Int64? {
    guard let unit = format.nanosecondsInUnit, let found = nanoseconds(number, of: unit) else {
      return nil
    }
    return EventTime.range.contains(found) ? found : nil
  }

  /// The nanoseconds of a number of units; nil if they are out of range by more than a unit.
  fileprivate static func nanoseconds(_ number: Double, of unit: Int64) -> Int64? {
    guard abs(number) <= Double(EventTime.range.upperBound) / Double(unit) else { return nil }
    // In two parts, so that a whole number stays exact.
    let whole = number.rounded(.down)
    return Int64(whole) * unit + Int64((number - whole) * Double(unit))
  }
}

private struct TimeScanner {
  private let text: UnsafeBufferPointer<UInt8>
  private var place = 0

  init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

  var isAtEnd: Bool { place == text.count }

  private func isNext(_ characters: String) -> Bool {
    place < text.count && characters.utf8.contains(text[place])
  }

  private mutating func take(_ characters: String) -> UInt8? {
    guard isNext(characters) else { return nil }
    defer { place += 1 }
    return text[place]
  }

  /// The number of all digits that follow; nil if there is none, or if it is too large.
  private mutating func integer() -> Int64? {
    let start = place
    var number: Int64 = 0
    while let digit = take("0123456789") {
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int64(digit - 0x30))
      guard !overflow, !carry else { return nil }
      number = sum
    }
    return place > start ? number : nil
  }

  /// A number of exactly so many digits, in a range.
  private mutating func field(_ digits: Int, _ range: ClosedRange<Int>) -> Int? {
    var number = 0
    for _ in 0..<digits {
      guard let digit = take("0123456789") else { return nil }
      number = 10 * number + Int(digit - 0x30)
    }
    return range.contains(number) ? number : nil
  }

  /// The part of `unit` that a fraction tells, after its point.
  private mutating func fraction(of unit: Int64) -> Int64? {
    var (part, rest, hasDigits) = (Int64(0), unit, false)
    while let digit = take("0123456789") {
      hasDigits = true
      rest /= 10
      part += rest * Int64(digit - 0x30)
    }
    return hasDigits ? part : nil
  }

  /// A decimal number of units.
  mutating func number(of unit: Int64) -> Int64? {
    let isNegative = take("+-") == UInt8(ascii: "-")
    guard let whole = integer() else { return nil }
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
    guard !overflow else { return nil }
    var part: Int64 = 0
    if take(".") != nil {
      guard let found = fraction(of: unit) else { return nil }
      part = found
    }
    guard !isNext("eE") else { return scientific(of: unit) }
    let (sum, carry) = product.addingReportingOverflow(part)
    return carry ? nil : isNegative ? -sum : sum
  }

  /// A number with an exponent, as some writers spell large ones.
  private mutating func scientific(of unit: Int64) -> Int64? {
    guard let base = text.baseAddress,
      let (value, end) = NumberText.parse(base, base + text.count), end == base + text.count
    else { return nil }
    place = text.count
    return TimeText.nanoseconds(value, of: unit)
  }

  /// `2013-01-31`, with `T` or a space and a time after it, and an offset.
  mutating func dateAndTime() -> Int64? {
    guard let year = field(4, 0...9999), take("-") != nil, let month = field(2, 1...12),
      take("-") != nil, let day = field(2, 1...31),
      day <= Self.days(inMonth: month, of: year)
    else { return nil }
    var seconds = Int64(CivilDate(year: year, month: month, day: day).days) * 86_400
    var part: Int64 = 0
    if take("Tt ") != nil {
      guard let hour = field(2, 0...23), take(":") != nil, let minute = field(2, 0...59) else {
        return nil
      }
      seconds += Int64(hour * 3600 + minute * 60)
      if take(":") != nil {
        // A leap second counts as the second after it.
        guard let second = field(2, 0...60) else { return nil }
        seconds += Int64(second)
        if take(".,") != nil {
          guard let found = fraction(of: 1_000_000_000) else { return nil }
          part = found
        }
      }
      guard let offset = offset() else { return nil }
      seconds -= Int64(offset)
    }
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(part)
    return overflow || carry ? nil : sum
  }

  /// `Z`, `+02:00`, `+0200`, `+02` or nothing, in seconds.
  private mutating func offset() -> Int? {
    if isAtEnd || take("Zz") != nil { return 0 }
    guard let sign = take("+-"), let hours = field(2, 0...23) else { return nil }
    var minutes = 0
    if !isAtEnd {
      _ = take(":")
      guard let found = field(2, 0...59) else { return nil }
      minutes = found
    }
    let seconds = hours * 3600 + minutes * 60
    return sign == UInt8(ascii: "-") ? -seconds : seconds
  }

  private static func days(inMonth month: Int, of year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}
