extension YAMLReading {
  /// Reports why a text is not YAML.
  func report(_ fault: YAMLFault, in text: String) {
    let mark =
      switch fault.place {
      case .mark(let mark): mark
      case .byte(let offset):
        place(after: String(decoding: text.utf8.prefix(offset), as: UTF8.self).unicodeScalars)
      }
    if let (message, hint) = commonMistake(in: text, at: mark) {
      return errors.report(message, path: "", at: mark, hint: hint)
    }
    let context = fault.context.map { " \($0):" } ?? ""
    errors.report(
      "not YAML:\(context) \(fault.problem)", path: "", at: mark,
      hint: hasVariable(text, inLine: mark.line)
        ? "put quotes around a value with '${' within { } or [ ]" : nil)
  }

  /// The message for a common mistake, if there is one at the position where the parser stopped.
  private func commonMistake(
    in text: String, at place: SourceMark
  ) -> (message: String, hint: String)? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.indices.contains(place.line - 1) else { return nil }
    let line = Array(lines[place.line - 1].unicodeScalars)
    // The parser stops at the character that it refuses, or just after it.
    let here = [place.column - 1, place.column - 2].filter(line.indices.contains).map { line[$0] }
    if here.first == "\t" {
      return ("expected spaces, found a tab", "YAML is indented with spaces")
    }
    if here.contains("*") {
      return (
        "found '*' without quotes, which starts an alias",
        "put quotes around a text with '*'; an alias needs its anchor (&name) before it"
      )
    }
    return nil
  }

  /// Whether a line refers to a variable. YAML may take its braces for a mapping.
  private func hasVariable(_ text: String, inLine line: Int) -> Bool {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.indices.contains(line - 1) && lines[line - 1].contains("${")
  }

  /// The position of the first byte that is not UTF-8.
  func placeOfBadUTF8(in bytes: [UInt8]) -> SourceMark {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var scalars: [Unicode.Scalar] = []
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { scalars.append(scalar) }
    return place(after: scalars)
  }

  private func place(after scalars: some Sequence<Unicode.Scalar>) -> SourceMark {
    var mark = SourceMark.start
    for scalar in scalars {
      if scalar == "\n" {
        mark = SourceMark(line: mark.line + 1, column: 1)
      } else {
        mark.column += 1
      }
    }
    return mark
  }
}
