// Reading single values.
extension ConfigurationSection {
  /// The text at a key, not empty; `default` where the key is absent. Without a default the key is
  /// required.
  package func string(_ key: String, default fallback: String? = nil) -> String {
    scalar(key, expected: "text", default: fallback, otherwise: "") { text in
      text.isEmpty ? nil : text
    }
  }

  /// The text at a key, not empty; nil where the key is absent.
  package func optionalString(_ key: String) -> String? {
    contains(key) ? string(key) : absent(key)
  }

  package func bool(_ key: String, default fallback: Bool) -> Bool {
    number(key, expected: "true or false", default: fallback, otherwise: fallback) { text in
      ["true", "True", "TRUE"].contains(text)
        ? true : ["false", "False", "FALSE"].contains(text) ? false : nil
    }
  }

  /// Whether it is set; nil where the key is absent.
  package func optionalBool(_ key: String) -> Bool? {
    contains(key) ? bool(key, default: false) : absent(key)
  }

  /// A whole number; without a default the key is required.
  package func int(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int?
  ) -> Int {
    number(
      key,
      expected: range.upperBound == .max
        ? "a whole number of at least \(range.lowerBound)"
        : "a whole number \(words("\(range.lowerBound)", "\(range.upperBound)"))",
      default: fallback, otherwise: range.lowerBound
    ) { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A whole number; nil where the key is absent.
  package func optionalInt(_ key: String, in range: ClosedRange<Int>) -> Int? {
    contains(key) ? int(key, in: range, default: nil) : absent(key)
  }

  /// A finite number; `allows` says more of it, in the words of `expected`.
  package func double(
    _ key: String, expected: String, default fallback: Double?, allows: (Double) -> Bool
  ) -> Double {
    number(key, expected: expected, default: fallback, otherwise: 0) { text in
      Double(text).flatMap { $0.isFinite && allows($0) ? $0 : nil }
    }
  }

  /// A finite number that `allows`; nil where the key is absent.
  package func optionalDouble(
    _ key: String, expected: String, allows: (Double) -> Bool
  ) -> Double? {
    contains(key) ? double(key, expected: expected, default: nil, allows: allows) : absent(key)
  }

  /// A duration with its unit (`250ms`, `10s`, `5m`, `1h`, `7d`), in seconds.
  package func seconds(
    _ key: String, in range: ClosedRange<Double>, default fallback: Double?
  ) -> Double {
    let bounds = words(durationText(range.lowerBound), durationText(range.upperBound))
    return scalar(
      key, expected: "a duration such as 10s \(bounds)", default: fallback,
      otherwise: range.lowerBound,
      parse: { text in parseSeconds(text).flatMap { range.contains($0) ? $0 : nil } },
      hint: { parseDecimal($0[...]) == nil ? nil : "add a unit: ms, s, m, h or d" })
  }

  /// A duration with its unit, in seconds; nil where the key is absent.
  package func optionalSeconds(_ key: String, in range: ClosedRange<Double>) -> Double? {
    contains(key) ? seconds(key, in: range, default: nil) : absent(key)
  }

  /// A size with its unit (`512B`, `64KiB`, `1MiB`, `1GiB`), in bytes.
  package func bytes(_ key: String, in range: ClosedRange<Int>, default fallback: Int?) -> Int {
    let bounds = words(sizeText(range.lowerBound), sizeText(range.upperBound))
    return scalar(
      key, expected: "a size such as 64MiB \(bounds)", default: fallback,
      otherwise: range.lowerBound,
      parse: { text in parseBytes(text).flatMap { range.contains($0) ? $0 : nil } },
      hint: { parseDecimal($0[...]) == nil ? nil : "add a unit: B, KiB, MiB or GiB" })
  }

  /// A size with its unit, in bytes; nil where the key is absent.
  package func optionalBytes(_ key: String, in range: ClosedRange<Int>) -> Int? {
    contains(key) ? bytes(key, in: range, default: nil) : absent(key)
  }

  /// One of an enumeration's names; without a default the key is required.
  package func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, default fallback: Choice?
  ) -> Choice {
    guard let first = Choice.allCases.first else { preconditionFailure("there is a choice") }
    let names = Choice.allCases.map(\.rawValue)
    return scalar(
      key, expected: "one of \(names.joined(separator: ", "))", default: fallback,
      otherwise: fallback ?? first, parse: { Choice(rawValue: $0) },
      hint: { self.meant($0, of: names) })
  }

  /// One of an enumeration's names; nil where the key is absent.
  package func optionalChoice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, of: Choice.Type
  ) -> Choice? {
    contains(key) ? choice(key, default: nil) as Choice : absent(key)
  }

  /// A list of texts, empty ones allowed; one text alone is a list of it. Without a default the key is
  /// required.
  package func strings(_ key: String, default fallback: [String]?) -> [String] {
    guard let node = value(key, required: fallback == nil ? "a list of texts" : nil) else {
      return fallback ?? []
    }
    switch node.content {
    case .scalar(let scalar) where !scalar.isNull:
      return [scalar.text]
    case .list(let elements):
      return elements.compactMap { element in
        switch element.content {
        case .scalar(let scalar) where !scalar.isNull: return scalar.text
        case .unusable: return nil
        default:
          report("expected a list of texts, found \(element.described) in it", at: key)
          return nil
        }
      }
    default:
      report(key, expected: "a list of texts", found: node.described)
      return []
    }
  }

  private func absent<Value>(_ key: String) -> Value? {
    _ = value(key, required: nil)
    return nil
  }

  /// A value that is no text, and so stands without quotes.
  private func number<Value>(
    _ key: String, expected: String, default fallback: Value?, otherwise: Value,
    parse: (String) -> Value?
  ) -> Value {
    if let node = value(key, required: nil), case .scalar(let scalar) = node.content,
      !scalar.isPlain, !scalar.isSubstituted
    {
      let hint = parse(scalar.text) == nil ? nil : "leave out the quotes"
      report(key, expected: expected, found: "text", hint: hint)
      return fallback ?? otherwise
    }
    return scalar(
      key, expected: expected, default: fallback, otherwise: otherwise, parse: parse)
  }

  /// A scalar that `parse` takes.
  ///
  /// - Parameters:
  ///   - otherwise: what is given where there is no such scalar, which is reported.
  ///   - hint: what more to say of a text that `parse` refuses.
  private func scalar<Value>(
    _ key: String, expected: String, default fallback: Value?, otherwise: Value,
    parse: (String) -> Value?, hint: (String) -> String? = { _ in nil }
  ) -> Value {
    guard let node = value(key, required: fallback == nil ? expected : nil) else {
      return fallback ?? otherwise
    }
    guard case .scalar(let scalar) = node.content, !scalar.isNull else {
      report(key, expected: expected, found: node.described)
      return fallback ?? otherwise
    }
    guard let parsed = parse(scalar.text) else {
      report(
        key, expected: expected, found: node.described,
        // A hint may tell of the text, and a variable's is not to be told.
        hint: scalar.isSubstituted ? nil : hint(scalar.text))
      return fallback ?? otherwise
    }
    return parsed
  }

  private func words(_ least: String, _ most: String) -> String {
    "from \(least) to \(most)"
  }
}
