internal import CNumberText
internal import Records

/// Converts decimal text to numbers and back. This is the only Swift file that calls the C functions for it.
package enum NumberText {
  /// The greatest length of a written number, in bytes.
  package static let capacity = Int(NUMBER_TEXT_CAPACITY)

  /// Reads the decimal number (or `inf`, `infinity`, `nan` in any case) at the start of `begin ..< end`.
  ///
  /// The result is correctly rounded. A number beyond Double's range gives an infinity; one below it gives zero or a
  /// subnormal.
  ///
  /// - Returns: the value and the position after its last byte; nil if no number starts at `begin`.
  @inline(__always)
  package static func parse(
    _ begin: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
  ) -> (value: Double, end: UnsafePointer<UInt8>)? {
    var value = 0.0
    let first = UnsafeRawPointer(begin).assumingMemoryBound(to: CChar.self)
    let last = UnsafeRawPointer(end).assumingMemoryBound(to: CChar.self)
    guard let after = number_text_parse(first, last, &value) else { return nil }
    return (value, UnsafeRawPointer(after).assumingMemoryBound(to: UInt8.self))
  }
}

extension NumberText {
  /// Appends a part of a text to `output`, with the values of the columns in place of its spans. A missing value
  /// leaves its span unchanged.
  ///
  /// - Parameters:
  ///   - overflow: the spelling of a value beyond the range of the precision; else `inf`.
  ///   - decimal: the character before a fraction.
  static func splice(
    _ text: SplicedText, _ part: Range<BlockOffset>, _ columns: FeatureColumns,
    _ precision: Precision, overflow: [UInt8]?, decimal: UInt8, into output: ByteBuffer
  ) {
    let bytes = part.lowerBound.payload.bytes..<part.upperBound.payload.bytes
    let spans = part.lowerBound.payload.items..<part.upperBound.payload.items
    let spanCapacity = max(capacity, overflow?.count ?? 0)
    let place = output.reserve(bytes.count + spans.count * spanCapacity + 16)
    let count =
      switch columns.values {
      case .float32(let values):
        splice(text, bytes, spans, precision, overflow, decimal, values, nil, place)
      case .float64(let values):
        splice(text, bytes, spans, precision, overflow, decimal, nil, values, place)
      }
    output.advance(count)
  }

  private static func splice(
    _ text: SplicedText, _ bytes: Range<Int>, _ range: Range<Int>, _ precision: Precision,
    _ overflow: [UInt8]?, _ decimal: UInt8, _ floats: [Float]?, _ doubles: [Double]?,
    _ place: UnsafeMutablePointer<UInt8>
  ) -> Int {
    text.bytes.withUnsafeBytes { bytesOfText in
      text.spans.withUnsafeBytes { spans in
        (overflow ?? []).withUnsafeBytes { overflow in
          guard let text = bytesOfText.assumingMemoryBound(to: CChar.self).baseAddress,
            let spans = spans.assumingMemoryBound(to: TextSpan.self).baseAddress
          else { preconditionFailure("spans of no text") }
          let isLimited = !overflow.isEmpty
          return text_splice(
            text, bytes.lowerBound, bytes.upperBound, spans + range.lowerBound, range.count, floats,
            doubles, precision == .float64,
            isLimited ? overflow.assumingMemoryBound(to: CChar.self).baseAddress : nil,
            overflow.count, CChar(bitPattern: decimal),
            UnsafeMutableRawPointer(place).assumingMemoryBound(to: CChar.self))
        }
      }
    }
  }
}

/// A number that can be written as the shortest text that reads back as the same number.
package protocol FormattableNumber {
  /// Writes the text to memory with room for `NumberText.capacity` bytes. Returns its length.
  func writeText(to place: UnsafeMutablePointer<UInt8>) -> Int
}

extension FormattableNumber {
  /// Appends the text to `output`, with `decimal` before its fraction.
  package func appendText(to output: ByteBuffer, decimal: UInt8 = UInt8(ascii: ".")) {
    let place = output.reserve(NumberText.capacity)
    let count = writeText(to: place)
    if decimal != UInt8(ascii: ".") {
      for index in 0..<count where place[index] == UInt8(ascii: ".") { place[index] = decimal }
    }
    output.advance(count)
  }
}

extension Float: FormattableNumber {
  @inline(__always)
  package func writeText(to place: UnsafeMutablePointer<UInt8>) -> Int {
    number_text_format_float(
      self, UnsafeMutableRawPointer(place).assumingMemoryBound(to: CChar.self))
  }
}

extension Double: FormattableNumber {
  @inline(__always)
  package func writeText(to place: UnsafeMutablePointer<UInt8>) -> Int {
    number_text_format_double(
      self, UnsafeMutableRawPointer(place).assumingMemoryBound(to: CChar.self))
  }
}
