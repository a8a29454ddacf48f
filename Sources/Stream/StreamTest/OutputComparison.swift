internal import Codecs
internal import Configuration
internal import Records

/// Compares the output of a test with the expected one.
struct OutputComparison {
  /// The greatest relative difference of numbers above 1, and the greatest absolute one of others.
  private let tolerance: Double
  private let isText: Bool
  /// The byte between two columns; nil if the records have none.
  private let delimiter: UInt8?
  /// The byte before the fraction of a number.
  private let decimal: UInt8
  /// The number of lines before the first record.
  private let linesBefore: Int

  /// - Parameters:
  ///   - configuration: that of the stream, which tells the form of the output.
  ///   - prologue: the part of the output before the first record.
  init(tolerance: Double, of configuration: StreamConfiguration, prologue: [UInt8]) {
    let format = configuration.outputFormat ?? configuration.format
    let isCSV = format.name == RecordFormat.csv.name
    let settings = configuration.decoder.settings
    self.tolerance = tolerance
    isText = format.isText
    delimiter = isCSV ? settings[CSVSettings.delimiter] : nil
    decimal = isCSV ? settings[CSVSettings.decimal] : UInt8(ascii: ".")
    linesBefore = format.isText ? prologue.count { $0 == 0x0A } : 0
  }

  /// The first difference, with its record and column; nil if there is none.
  func difference(found: [UInt8], expected: [UInt8]) -> String? {
    guard found != expected else { return nil }
    guard isText else {
      let place = zip(found, expected).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
      return "output: byte \(place): expected \(Self.hexadecimal(expected, at: place)), "
        + "found \(Self.hexadecimal(found, at: place))"
    }
    let (foundLines, expectedLines) = (lines(found), lines(expected))
    for index in 0..<max(foundLines.count, expectedLines.count) {
      let left = index < expectedLines.count ? expectedLines[index] : nil
      let right = index < foundLines.count ? foundLines[index] : nil
      let header = linesBefore > 0 ? expectedLines.dropFirst(linesBefore - 1).first : nil
      guard let difference = difference(right, left, header) else { continue }
      let place =
        index < linesBefore ? "line \(index + 1)" : "record \(index - linesBefore + 1)"
      return "output: \(place)\(difference)"
    }
    return nil
  }

  /// The first difference of a line, nil for the end; in words, after the name of the line.
  private func difference(
    _ found: ArraySlice<UInt8>?, _ expected: ArraySlice<UInt8>?, _ header: ArraySlice<UInt8>?
  ) -> String? {
    guard let found, let expected else {
      let (left, right) = (expected.map(Self.shown), found.map(Self.shown))
      return ": expected \(left ?? "the end"), found \(right ?? "the end")"
    }
    guard !isNear(found, expected) else { return nil }
    let (foundColumns, expectedColumns) = (columns(of: found), columns(of: expected))
    guard foundColumns.count == expectedColumns.count,
      let index = foundColumns.indices.first(where: {
        !isNear(foundColumns[$0], expectedColumns[$0])
      })
    else { return ": expected \(Self.shown(expected)), found \(Self.shown(found))" }
    let (left, right) = (Self.shown(expectedColumns[index]), Self.shown(foundColumns[index]))
    var place = ", column \(index + 1)"
    if delimiter == nil {
      // The columns of other text are its words and numbers.
      place = Self.key(before: expectedColumns[index].startIndex, in: expected)
    } else if let names = header.map(columns(of:)), index < names.count {
      place += " \(Self.shown(names[index]))"
    }
    return "\(place): expected \(left), found \(right)"
  }

  /// The fields of a record of CSV; the words, numbers and other characters of other text.
  private func columns(of line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    guard let delimiter else { return parts(of: line) }
    return Self.split(line, at: delimiter, quotes: true)
  }

  /// The last key of a JSON object before an offset, in words after the name of the record.
  private static func key(before offset: Int, in line: ArraySlice<UInt8>) -> String {
    let before = line[..<offset]
    let (quote, colon) = (UInt8(ascii: "\""), UInt8(ascii: ":"))
    guard
      let end = before.indices.last(where: {
        before[$0] == quote && $0 + 1 < line.endIndex && line[$0 + 1] == colon
      }), let start = before[..<end].lastIndex(of: quote)
    else { return ", byte \(offset - line.startIndex)" }
    return ", key \(shown(before[(start + 1)..<end]))"
  }

  // MARK: Numbers

  /// Whether two texts are equal but for the tolerance of their numbers.
  private func isNear(_ found: ArraySlice<UInt8>, _ expected: ArraySlice<UInt8>) -> Bool {
    if found == expected { return true }
    guard tolerance > 0 else { return false }
    let (foundParts, expectedParts) = (parts(of: found), parts(of: expected))
    guard foundParts.count == expectedParts.count else { return false }
    return zip(foundParts, expectedParts).allSatisfy { found, expected in
      if found == expected { return true }
      guard isFraction(found) || isFraction(expected), let a = number(found),
        let b = number(expected)
      else { return false }
      return abs(a - b) <= tolerance * max(1, abs(b))
    }
  }

  /// The number that a text is; nil if it is another text.
  private func number(_ text: ArraySlice<UInt8>) -> Double? {
    let point = text.map { $0 == decimal ? UInt8(ascii: ".") : $0 }
    return Double(Self.text(point[...])).flatMap { $0.isFinite ? $0 : nil }
  }

  /// Whether a number has a fraction or an exponent.
  private func isFraction(_ text: ArraySlice<UInt8>) -> Bool {
    text.contains { $0 == decimal || "eE".utf8.contains($0) }
  }

  /// The text in parts: characters of which numbers consist, and others.
  private func parts(of line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    guard !line.isEmpty else { return [] }
    var parts: [ArraySlice<UInt8>] = []
    var start = line.startIndex
    for index in line.indices.dropFirst()
    where isOfNumber(line[index]) != isOfNumber(line[index - 1]) {
      parts.append(line[start..<index])
      start = index
    }
    parts.append(line[start...])
    return parts
  }

  /// Letters count too, so that no digits of a name are taken for a number.
  private func isOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x80...:
      true
    default: byte == decimal || "+-._".utf8.contains(byte)
    }
  }

  // MARK: Texts

  private func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let lines = Self.split(bytes[...], at: 0x0A, quotes: delimiter != nil)
    return lines.last?.isEmpty == true ? lines.dropLast() : lines
  }

  /// The parts between separators, without those in quotes if `quotes`.
  private static func split(
    _ bytes: ArraySlice<UInt8>, at separator: UInt8, quotes: Bool
  ) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var start = bytes.startIndex
    var isQuoted = false
    for (index, byte) in zip(bytes.indices, bytes) {
      if quotes, byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      guard byte == separator, !isQuoted else { continue }
      parts.append(bytes[start..<index])
      start = index + 1
    }
    parts.append(bytes[start...])
    return parts
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }

  private static func shown(_ bytes: ArraySlice<UInt8>) -> String {
    // `quoted` bounds the characters. This bound saves the decoding of a long record.
    quoted(text(bytes.prefix(1024)))
  }

  private static func hexadecimal(_ bytes: [UInt8], at place: Int) -> String {
    guard place < bytes.count else { return "the end" }
    return bytes[place...].prefix(8).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined(separator: " ")
  }
}
