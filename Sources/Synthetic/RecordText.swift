internal import Records

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
  // 2025-01-01 is 20,089 days after 1970-01-01.
  let date = CivilDate(days: minutes / recordsPerDay + 20_089)
  appendPadded(date.year, width: 4, to: &text)
  text.append(UInt8(ascii: "-"))
  appendPadded(date.month, width: 2, to: &text)
  text.append(UInt8(ascii: "-"))
  appendPadded(date.day, width: 2, to: &text)
  text.append(UInt8(ascii: "T"))
  appendPadded(minutes % recordsPerDay / 60, width: 2, to: &text)
  text.append(UInt8(ascii: ":"))
  appendPadded(minutes % 60, width: 2, to: &text)
  text.append(contentsOf: ":00Z".utf8)
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
