/// Appends `number` · 10^−`decimals` in decimal digits.
///
/// `Double.description` would take ten times as long and write varying numbers of digits.
func appendDecimal(_ number: Int64, decimals: Int, to text: inout [UInt8]) {
  // At most 19 digits, a point and a sign.
  var digits = InlineArray<21, UInt8>(repeating: UInt8(ascii: "0"))
  var start = digits.count
  var rest = number.magnitude
  var written = 0
  repeat {
    if written == decimals, decimals > 0 {
      start -= 1
      digits[start] = UInt8(ascii: ".")
    }
    start -= 1
    digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
    rest /= 10
    written += 1
  } while rest > 0 || written <= decimals
  if number < 0 {
    start -= 1
    digits[start] = UInt8(ascii: "-")
  }
  for index in start..<digits.count {
    text.append(digits[index])
  }
}

/// Appends the time `minutes` after the start of 2025, as in `2025-01-01T00:00:00Z`.
func appendTime(minutes: Int, to text: inout [UInt8]) {
  let (year, month, day) = civilDate(daysSince2025: minutes / recordsPerDay)
  appendPadded(year, width: 4, to: &text)
  text.append(UInt8(ascii: "-"))
  appendPadded(month, width: 2, to: &text)
  text.append(UInt8(ascii: "-"))
  appendPadded(day, width: 2, to: &text)
  text.append(UInt8(ascii: "T"))
  appendPadded(minutes % recordsPerDay / 60, width: 2, to: &text)
  text.append(UInt8(ascii: ":"))
  appendPadded(minutes % 60, width: 2, to: &text)
  text.append(contentsOf: ":00Z".utf8)
}

/// The Gregorian date, with Howard Hinnant's `civil_from_days` (years that start in March).
private func civilDate(daysSince2025 days: Int) -> (year: Int, month: Int, day: Int) {
  // 2025-01-01 is 739,557 days after 0000-03-01, and 146,097 days make 400 years.
  let shifted = days + 739_557
  let era = shifted / 146_097
  let dayOfEra = shifted % 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let monthFromMarch = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
  let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
}

private func appendPadded(_ number: Int, width: Int, to text: inout [UInt8]) {
  var divisor = 1
  for _ in 1..<width {
    divisor *= 10
  }
  while number / divisor >= 10 {
    divisor *= 10
  }
  while divisor > 0 {
    text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
    divisor /= 10
  }
}
