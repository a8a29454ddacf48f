internal import Yams

extension YAMLReading {
  /// Reports why a text is not YAML.
  func report(_ error: any Error, in text: String) {
    guard let error = error as? YamlError else {
      errors.report("not YAML: \(error)", path: "", at: .start)
      return
    }
    switch error {
    case .scanner(let context, let problem, let mark, _),
      .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let place = SourceMark(line: mark.line, column: mark.column)
      if let (message, hint) = commonMistake(in: text, at: place) {
        return errors.report(message, path: "", at: place, hint: hint)
      }
      let context = context.map { " \($0.text)" } ?? ""
      errors.report(
        "not YAML:\(context.isEmpty ? "" : context + ":") \(problem)", path: "",
        at: place,
        hint: hasVariable(text, inLine: mark.line)
          ? "put quotes around a value with '${' within { } or [ ]" : nil)
    case .reader(let problem, let offset, _, _):
      errors.report("not YAML: \(problem)", path: "", at: place(of: offset, in: text))
    case .duplicatedKeysInMapping(let names, let context):
      let names = names.map { quoted($0) }.joined(separator: ", ")
      errors.report(
        "expected each key once in a mapping, found \(names) more than once", path: "",
        at: SourceMark(line: context.mark.line, column: context.mark.column))
    default:
      errors.report("not YAML: \(error)", path: "", at: .start)
    }
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

  /// The position of the character at an offset.
  private func place(of offset: Int?, in text: String) -> SourceMark {
    place(after: text.prefix(offset ?? 0).unicodeScalars)
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

  /// The position of a key that is or contains an alias, or may be one; nil if there is none.
  ///
  /// The parser compares keys by value. This takes exponential time if aliases lead to aliases, so such a text must
  /// not reach the parser. No configuration needs one. In a text with an alias, this function therefore finds every
  /// key after `?` and every key that is a collection, even in a comment.
  func aliasInKey(of text: String) -> SourceMark? {
    let bytes = Array(text.utf8)
    var hasAlias = false
    var suspect: Int?
    var before = UInt8(ascii: "\n")
    for (index, byte) in bytes.enumerated() {
      defer { before = byte }
      let startsToken = " \t\r\n[]{},:-?&!".utf8.contains(before)
      switch byte {
      case UInt8(ascii: "*") where startsToken:
        let name = bytes[(index + 1)...].prefix(while: Self.isAnchorCharacter)
        if name.isEmpty { continue }
        hasAlias = true
        if Self.colonFollows(bytes[name.endIndex...]) { suspect = suspect ?? index }
      case UInt8(ascii: "?") where startsToken:
        suspect = suspect ?? index
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        if Self.colonFollows(bytes[(index + 1)...]) { suspect = suspect ?? index }
      default: continue
      }
    }
    guard hasAlias, let suspect else { return nil }
    return place(after: String(decoding: bytes[..<suspect], as: UTF8.self).unicodeScalars)
  }

  private static func isAnchorCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func colonFollows(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") } == UInt8(ascii: ":")
  }
}
