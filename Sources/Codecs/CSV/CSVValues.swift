internal import Configuration
internal import Glibc
internal import Records

/// Reads the values of features from the fields of a CSV record.
struct CSVValues: Sendable {
  let fields: CSVFields
  let missingTokens: [[UInt8]]
  /// Whether the decoder can try a number first: no missing token is also a number, and the decimal mark is a
  /// point.
  let areNumbersPlain: Bool
  let hints: CSVHints
  /// The character before the fraction of a number.
  let decimal: UInt8
  private var hasDecimalComma: Bool { decimal == UInt8(ascii: ",") }
  private let onMissing: MissingPolicy
  private let onInvalid: InvalidPolicy

  init(_ options: DecoderOptions) {
    fields = CSVFields(
      delimiter: options.settings[CSVSettings.delimiter], limit: options.limits.fields)
    missingTokens = options.settings[CSVSettings.missingTokens].map { Array($0.utf8) }
    hints = CSVHints(options.settings)
    decimal = options.settings[CSVSettings.decimal]
    let hasDecimalComma = decimal == UInt8(ascii: ",")
    let tokensLookNumeric = missingTokens.contains { token in
      token.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return false }
        // A NaN or an infinity never takes the fast path.
        return NumberText.parse(base, base + bytes.count)?.value.isFinite ?? false
      }
    }
    areNumbersPlain = !tokensLookNumeric && !hasDecimalComma
    onMissing = options.onMissing
    onInvalid = options.onInvalid
  }

  /// A value of a feature, NaN if it is missing; the bytes that spell it; and the offset of the delimiter after it.
  struct Value {
    var number: Double
    var start: Int
    var end: Int
    var next: Int
  }

  /// Reads the value of the field at `start`.
  ///
  /// - Parameter name: the name of the feature.
  @inline(__always)
  func value(
    _ base: UnsafePointer<UInt8>, at start: Int, in record: CSVRecordScanner.Record,
    name: @autoclosure () -> String
  ) throws(RecordFault) -> Value {
    let end = record.contentEnd
    // The common case: a number that starts here and ends at a delimiter.
    if areNumbersPlain, let (number, after) = NumberText.parse(base + start, base + end) {
      let next = after - base
      if next == end || base[next] == fields.delimiter, abs(number) <= FeatureColumns.greatest {
        return Value(number: number, start: start, end: next, next: next)
      }
    }
    return try unusualValue(base, at: start, in: record, name: name())
  }

  private func unusualValue(
    _ base: UnsafePointer<UInt8>, at start: Int, in record: CSVRecordScanner.Record,
    name: @autoclosure () -> String
  ) throws(RecordFault) -> Value {
    let field = try fields.field(base, at: start, in: record)
    let token = trimmed(base, field.start, field.end)
    var value = Value(number: .nan, start: token.start, end: token.end, next: field.next)
    if !isMissing(base, token.start, token.end) {
      let number = number(base + token.start, base + token.end) ?? .infinity
      if number.isNaN || abs(number) <= FeatureColumns.greatest {
        value.number = number
      } else if onInvalid == .reject {
        throw number.isFinite
          ? RecordFault(tooGreat: quote(base, token.start, token.end), feature: name())
          : fault(base, token.start, token.end, name())
      }
    }
    if value.number.isNaN, onMissing == .reject {
      throw RecordFault(
        expected: "a value of feature '\(name())'",
        found: "a missing one, " + quote(base, token.start, token.end))
    }
    return value
  }

  private func fault(
    _ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ name: String
  ) -> RecordFault {
    let text = UnsafeBufferPointer(start: base + start, count: end - start)
    // Infinities have names; digits that mean one are a number that is too large.
    let isTooLarge =
      text.contains { (0x30...0x39).contains($0) } && number(base + start, base + end) != nil
    return RecordFault(
      expected: "a number in feature '\(name)'",
      found: quote(base, start, end) + (isTooLarge ? ", beyond the largest number, 1.8e308" : "")
    ).advising(hints.advice(value: text))
  }

  /// Whether a field holds a finite number.
  func isNumber(_ field: [UInt8]) -> Bool {
    field.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return false }
      let token = trimmed(base, 0, bytes.count)
      guard !isMissing(base, token.start, token.end) else { return false }
      return number(base + token.start, base + token.end)?.isFinite ?? false
    }
  }

  /// The number that all bytes spell; nil if they spell none.
  private func number(_ begin: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Double? {
    guard hasDecimalComma else {
      return NumberText.parse(begin, end).flatMap { $0.end == end ? $0.value : nil }
    }
    var text = Array(UnsafeBufferPointer(start: begin, count: end - begin))
    guard !text.isEmpty, !text.contains(UInt8(ascii: ".")) else { return nil }
    for index in text.indices where text[index] == UInt8(ascii: ",") {
      text[index] = UInt8(ascii: ".")
    }
    return text.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return nil }
      return NumberText.parse(base, base + bytes.count)
        .flatMap { $0.end == base + bytes.count ? $0.value : nil }
    }
  }

  /// Whether a field is a missing value.
  func isMissing(_ field: [UInt8]) -> Bool {
    field.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return true }
      let token = trimmed(base, 0, bytes.count)
      return isMissing(base, token.start, token.end)
    }
  }

  /// The kind of value in a field.
  func look(
    _ base: UnsafePointer<UInt8>, _ field: CSVFields.Field
  ) -> ColumnProfile.Value {
    let token = trimmed(base, field.start, field.end)
    if isMissing(base, token.start, token.end) { return .missing }
    guard let number = number(base + token.start, base + token.end), !number.isInfinite
    else { return .other }
    if number.isNaN { return .missing }
    let isInteger = (token.start..<token.end).allSatisfy {
      (0x30...0x39).contains(base[$0]) || base[$0] == 0x2D || base[$0] == 0x2B
    }
    return .number(number, isInteger: isInteger)
  }

  private func trimmed(
    _ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int
  ) -> (start: Int, end: Int) {
    var (start, end) = (start, end)
    while start < end, isBlank(base[start]) { start += 1 }
    while start < end, isBlank(base[end - 1]) { end -= 1 }
    return (start, end)
  }

  private func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09
  }

  /// Whether the bytes spell a missing value.
  private func isMissing(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    start == end
      || missingTokens.contains {
        $0.count == end - start && memcmp($0, base + start, end - start) == 0
      }
  }

  private func quote(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> String {
    RecordFault.quote(UnsafeBufferPointer(start: base + start, count: end - start))
  }
}
