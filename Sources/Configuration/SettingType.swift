internal import Records

/// The possible values of a setting and their spelling.
package struct SettingType<Value: Sendable>: Sendable {
  /// The expected value, in the words of an error: "expected …".
  package let expected: String
  package let form: SettingForm
  /// The possible values, if they are words.
  package let words: [String]
  /// The bounds of a number, in words; nil if it has none to mention.
  package let range: String?
  /// Parses a value from texts: one text, unless the form is a list.
  package let parse: @Sendable ([String]) throws(SettingRefusal) -> Value
  /// The value as a user writes it; nil if there is none.
  package let text: @Sendable (Value) -> String?

  package init(
    expected: String, form: SettingForm = .text, words: [String] = [], range: String? = nil,
    text: @escaping @Sendable (Value) -> String?,
    list parse: @escaping @Sendable ([String]) throws(SettingRefusal) -> Value
  ) {
    self.expected = expected
    self.form = form
    self.words = words
    self.range = range
    self.text = text
    self.parse = parse
  }

  /// A type with values of one text.
  package init(
    expected: String, form: SettingForm = .text, words: [String] = [], range: String? = nil,
    text: @escaping @Sendable (Value) -> String?,
    parse: @escaping @Sendable (String) throws(SettingRefusal) -> Value
  ) {
    self.init(
      expected: expected, form: form, words: words, range: range, text: text,
      list: { (texts) throws(SettingRefusal) in
        guard let only = texts.first, texts.count == 1 else { throw SettingRefusal() }
        return try parse(only)
      })
  }

  /// The same type for a setting that may have no value.
  var optional: SettingType<Value?> {
    let (text, parse) = (text, parse)
    let parseOptional: @Sendable ([String]) throws(SettingRefusal) -> Value? = {
      (texts) throws(SettingRefusal) in try parse(texts)
    }
    return .init(
      expected: expected, form: form, words: words, range: range,
      text: { $0.flatMap(text) }, list: parseOptional)
  }
}

extension SettingType<String> {
  /// Any text that is not empty.
  package static let text = SettingType.text(called: "text")

  /// Any text that is not empty. Errors call it `name`.
  package static func text(called name: String) -> SettingType {
    SettingType(
      expected: name, text: { $0 },
      parse: { (text) throws(SettingRefusal) in
        guard !text.isEmpty else { throw SettingRefusal() }
        return text
      })
  }

  /// One of a few words.
  package static func word(of words: [String]) -> SettingType {
    SettingType(
      expected: "one of \(words.joined(separator: ", "))", words: words, text: { $0 },
      parse: { (text) throws(SettingRefusal) in
        guard words.contains(text) else { throw .nearest(to: text, in: words) }
        return text
      })
  }
}

extension SettingType<String> {
  /// The path of a file or directory in a configuration file, where no shell replaces `~` or `$NAME`.
  package static let path = SettingType(
    expected: "a path", text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      guard !text.isEmpty, !text.utf8.contains(0) else { throw SettingRefusal() }
      let second = text.dropFirst().first
      if text.hasPrefix("~") || text.hasPrefix("$") && second.map(isNameStart) ?? false {
        throw SettingRefusal(
          expected: "a path without ~ and $NAME",
          hint: "write the complete path; ${HOME} is the home directory")
      }
      return text
    })

  /// A path on the command line, where a shell has replaced `~` and `$NAME`.
  package static let shellPath = SettingType.text(called: "a path")

  private static func isNameStart(_ character: Character) -> Bool {
    character.isLetter || character == "_"
  }
}

extension SettingType<Bool> {
  package static let bool = SettingType(
    expected: "true or false", form: .literal, words: ["true", "false"], text: { "\($0)" },
    parse: { (text) throws(SettingRefusal) in
      switch text {
      case "true", "True", "TRUE": return true
      case "false", "False", "FALSE": return false
      default: throw SettingRefusal()
      }
    })
}

extension SettingType<Int> {
  /// A whole number.
  package static func integer(in range: ClosedRange<Int>) -> SettingType {
    let isOpen = range.upperBound == .max
    return SettingType(
      expected: "a whole number "
        + (isOpen ? "of at least \(range.lowerBound)" : span(range.lowerBound, range.upperBound)),
      form: .literal,
      range: isOpen
        ? range.lowerBound > 0 ? "at least \(range.lowerBound)" : nil
        : "\(grouped(range.lowerBound)) to \(grouped(range.upperBound))",
      text: { "\($0)" },
      parse: { (text) throws(SettingRefusal) in
        guard let number = Int(text), range.contains(number) else { throw SettingRefusal() }
        return number
      })
  }

  /// A number of bytes with its unit, such as `64MiB`.
  ///
  /// - Parameter plain: whether a number without a unit is a number of bytes.
  package static func size(in range: ClosedRange<Int>, plain: Bool = false) -> SettingType {
    let bounds = (sizeText(range.lowerBound), sizeText(range.upperBound))
    return SettingType(
      expected: "a size such as 64MiB, \(span(bounds.0, bounds.1))",
      range: "\(bounds.0) to \(bounds.1)", text: sizeText,
      parse: { (text) throws(SettingRefusal) in
        let bytes = plain ? Int(text) ?? parseBytes(text) : parseBytes(text)
        if let bytes, range.contains(bytes) { return bytes }
        let lacksUnit = !plain && parseDecimal(text[...]) != nil
        throw SettingRefusal(hint: lacksUnit ? "add a unit: B, KiB, MiB or GiB" : nil)
      })
  }
}

extension SettingType<Double> {
  /// A finite number for which `allows` returns true. `expected` describes it in errors.
  ///
  /// - Parameter range: its bounds, as a table shows them.
  package static func number(
    expected: String, range: String? = nil, allows: @escaping @Sendable (Double) -> Bool
  ) -> SettingType {
    SettingType(
      expected: expected, form: .literal, range: range, text: numberText,
      parse: { (text) throws(SettingRefusal) in
        guard let number = Double(text), number.isFinite, allows(number) else {
          throw SettingRefusal()
        }
        return number
      })
  }

  /// A finite number above 0.
  package static let positive = number(expected: "a finite number above 0", range: "above 0") {
    $0 > 0
  }

  /// A finite number.
  package static func number(atLeast least: Double) -> SettingType {
    let text = numberText(least)
    return number(expected: "a finite number of at least \(text)", range: "at least \(text)") {
      $0 >= least
    }
  }

  /// A duration with its unit, such as `250ms`, in seconds.
  package static func seconds(in range: ClosedRange<Double>) -> SettingType {
    let bounds = (durationText(range.lowerBound), durationText(range.upperBound))
    return SettingType(
      expected: "a duration such as 10s, \(span(bounds.0, bounds.1))",
      range: "\(bounds.0) to \(bounds.1)", text: durationText,
      parse: { (text) throws(SettingRefusal) in
        if let seconds = parseSeconds(text), range.contains(seconds) { return seconds }
        let lacksUnit = parseDecimal(text[...]) != nil
        throw SettingRefusal(hint: lacksUnit ? "add a unit: ms, s, m, h or d" : nil)
      })
  }
}

extension SettingType<[String]> {
  /// A list of texts. A text may be empty.
  package static let texts = SettingType(
    expected: "a list of texts", form: .list, text: listText, list: { $0 })
}

extension SettingType<[String]> {
  /// A list of texts on the command line, separated by commas.
  package static let commaSeparated = SettingType(
    expected: "texts separated by commas", form: .list, text: { $0.joined(separator: ",") },
    list: { $0 })
}

extension SettingType where Value: RawRepresentable<String> & CaseIterable {
  /// One of an enumeration's names.
  package static var choice: SettingType {
    let names = Value.allCases.map(\.rawValue)
    return SettingType(
      expected: "one of \(names.joined(separator: ", "))", words: names, text: { $0.rawValue },
      parse: { (text) throws(SettingRefusal) in
        guard let value = Value(rawValue: text) else { throw .nearest(to: text, in: names) }
        return value
      })
  }
}

extension SettingRefusal {
  /// Refuses a word that is none of several. Suggests the nearest one.
  package static func nearest(to word: String, in words: [String]) -> SettingRefusal {
    SettingRefusal(hint: nearestName(to: word, in: words).map { "did you mean '\($0)'?" })
  }
}

private func span(_ least: some CustomStringConvertible, _ most: some CustomStringConvertible)
  -> String
{
  "from \(least) to \(most)"
}

/// A number as a user writes it: `3`, `0.1`, `1e-5`.
package func numberText(_ number: Double) -> String {
  Int(exactly: number).map(String.init) ?? number.description.replacing("e-0", with: "e-")
}

/// A list as a file spells it, such as `[a, ""]`. Two lists with the same text are equal.
package func listText(_ elements: [String]) -> String {
  let texts = elements.map { element in
    let isPlain =
      !element.isEmpty
      && element.unicodeScalars.allSatisfy { !#"[]{},:'"\ "#.unicodeScalars.contains($0) }
    return isPlain
      ? element
      : "\"" + element.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
  return "[" + texts.joined(separator: ", ") + "]"
}

/// A count with commas between groups of three digits, as in 1,048,576.
func grouped(_ count: Int) -> String {
  var digits = String(count.magnitude)
  var place = digits.count - 3
  while place > 0 {
    digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
    place -= 3
  }
  return (count < 0 ? "-" : "") + digits
}

/// The form of the value in a file.
package enum SettingForm: Sendable {
  /// A text with or without quotes.
  case text
  /// A number, true or false, without quotes.
  case literal
  /// A list of texts. A single text is a list of one. On the command line, commas separate the texts.
  case list
  /// Names with a text each, as `name=text`, or as `name:file=path` for `name: { file: path }`. It may be one text too. On
  /// the command line, commas separate them.
  case mapping
}
