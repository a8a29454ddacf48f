// Reading single values.
extension ConfigurationSection {
  /// The text at a key, not empty; `default` where the key is absent. Without a default the key is
  /// required.
  package func string(_ key: String, default fallback: String? = nil) -> String {
    text(key, isRequired: fallback == nil) ?? fallback ?? ""
  }

  /// The text at a key, not empty; nil where the key is absent.
  package func optionalString(_ key: String) -> String? {
    text(key, isRequired: false)
  }

  /// One of the names given; nil where the key is absent.
  package func optionalName(_ key: String, of names: [String]) -> String? {
    scalar(
      key, expected: "one of \(names.joined(separator: ", "))", isRequired: false,
      parse: { names.contains($0) ? $0 : nil }, hint: { self.meant($0, of: names) })
  }

  package func bool(_ key: String, default fallback: Bool) -> Bool {
    optionalBool(key) ?? fallback
  }

  /// Whether it is set; nil where the key is absent.
  package func optionalBool(_ key: String) -> Bool? {
    unquoted(key, expected: "true or false", isRequired: false) { text in
      switch text {
      case "true", "True", "TRUE": true
      case "false", "False", "FALSE": false
      default: nil
      }
    }
  }

  /// A whole number; without a default the key is required.
  package func int(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int?
  ) -> Int {
    int(key, in: range, isRequired: fallback == nil) ?? fallback ?? range.lowerBound
  }

  /// A whole number; nil where the key is absent.
  package func optionalInt(_ key: String, in range: ClosedRange<Int>) -> Int? {
    int(key, in: range, isRequired: false)
  }

  /// A finite number; `allows` says more of it, in the words of `expected`. Without a default the key
  /// is required.
  package func double(
    _ key: String, expected: String, default fallback: Double?, allows: (Double) -> Bool
  ) -> Double {
    double(key, expected: expected, isRequired: fallback == nil, allows: allows) ?? fallback ?? 0
  }

  /// A finite number that `allows`; nil where the key is absent.
  package func optionalDouble(
    _ key: String, expected: String, allows: (Double) -> Bool
  ) -> Double? {
    double(key, expected: expected, isRequired: false, allows: allows)
  }

  /// A duration with its unit (`250ms`, `10s`, `5m`, `1h`, `7d`), in seconds. Without a default the
  /// key is required.
  package func seconds(
    _ key: String, in range: ClosedRange<Double>, default fallback: Double?
  ) -> Double {
    seconds(key, in: range, isRequired: fallback == nil) ?? fallback ?? range.lowerBound
  }

  /// A duration with its unit, in seconds; nil where the key is absent.
  package func optionalSeconds(_ key: String, in range: ClosedRange<Double>) -> Double? {
    seconds(key, in: range, isRequired: false)
  }

  /// A size with its unit (`512B`, `64KiB`, `1MiB`, `1GiB`), in bytes. Without a default the key is
  /// required.
  package func bytes(_ key: String, in range: ClosedRange<Int>, default fallback: Int?) -> Int {
    bytes(key, in: range, isRequired: fallback == nil) ?? fallback ?? range.lowerBound
  }

  /// A size with its unit, in bytes; nil where the key is absent.
  package func optionalBytes(_ key: String, in range: ClosedRange<Int>) -> Int? {
    bytes(key, in: range, isRequired: false)
  }

  /// One of an enumeration's names; without a default the key is required.
  package func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, default fallback: Choice?
  ) -> Choice {
    guard let first = Choice.allCases.first else { preconditionFailure("there is a choice") }
    return choice(key, isRequired: fallback == nil) ?? fallback ?? first
  }

  /// One of an enumeration's names; nil where the key is absent.
  package func optionalChoice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, of: Choice.Type
  ) -> Choice? {
    choice(key, isRequired: false)
  }

  /// A list of texts, empty ones allowed; one text alone is a list of it. Without a default the key is
  /// required.
  package func strings(_ key: String, default fallback: [String]?) -> [String] {
    strings(key, isRequired: fallback == nil) ?? fallback ?? []
  }

  /// A list of texts, empty ones allowed; nil where the key is absent.
  package func optionalStrings(_ key: String) -> [String]? {
    strings(key, isRequired: false)
  }
}

// What readers with and without a default share: nil where the key is absent or its value is refused.
extension ConfigurationSection {
  private func text(_ key: String, isRequired: Bool) -> String? {
    scalar(key, expected: "text", isRequired: isRequired, parse: { $0.isEmpty ? nil : $0 })
  }

  private func strings(_ key: String, isRequired: Bool) -> [String]? {
    let expected = "a list of texts"
    guard let node = value(key, required: isRequired ? expected : nil) else { return nil }
    switch node.content {
    case .scalar(let scalar) where !scalar.isNull:
      return [scalar.text]
    case .list(let elements):
      var texts: [String] = []
      for element in elements {
        switch element.content {
        case .scalar(let scalar) where !scalar.isNull: texts.append(scalar.text)
        case .unusable: return nil
        default:
          report("expected \(expected), found \(element.described) in it", at: key)
          return nil
        }
      }
      return texts
    default:
      report(key, expected: expected, found: node.described)
      return nil
    }
  }

  private func int(_ key: String, in range: ClosedRange<Int>, isRequired: Bool) -> Int? {
    let bounds =
      range.upperBound == .max
      ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    return unquoted(key, expected: "a whole number \(bounds)", isRequired: isRequired) { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  private func double(
    _ key: String, expected: String, isRequired: Bool, allows: (Double) -> Bool
  ) -> Double? {
    unquoted(key, expected: expected, isRequired: isRequired) { text in
      Double(text).flatMap { $0.isFinite && allows($0) ? $0 : nil }
    }
  }

  private func seconds(
    _ key: String, in range: ClosedRange<Double>, isRequired: Bool
  ) -> Double? {
    let bounds = "from \(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
    return scalar(
      key, expected: "a duration such as 10s, \(bounds)", isRequired: isRequired,
      parse: { text in parseSeconds(text).flatMap { range.contains($0) ? $0 : nil } },
      hint: { parseDecimal($0[...]) == nil ? nil : "add a unit: ms, s, m, h or d" })
  }

  private func bytes(_ key: String, in range: ClosedRange<Int>, isRequired: Bool) -> Int? {
    let bounds = "from \(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
    return scalar(
      key, expected: "a size such as 64MiB, \(bounds)", isRequired: isRequired,
      parse: { text in parseBytes(text).flatMap { range.contains($0) ? $0 : nil } },
      hint: { parseDecimal($0[...]) == nil ? nil : "add a unit: B, KiB, MiB or GiB" })
  }

  private func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, isRequired: Bool
  ) -> Choice? {
    let names = Choice.allCases.map(\.rawValue)
    return scalar(
      key, expected: "one of \(names.joined(separator: ", "))", isRequired: isRequired,
      parse: { Choice(rawValue: $0) }, hint: { self.meant($0, of: names) })
  }

  /// A value that is no text, and so stands without quotes.
  private func unquoted<Value>(
    _ key: String, expected: String, isRequired: Bool, parse: (String) -> Value?
  ) -> Value? {
    if let node = value(key, required: nil), case .scalar(let scalar) = node.content,
      !scalar.isPlain, !scalar.isSubstituted
    {
      let hint = parse(scalar.text) == nil ? nil : "leave out the quotes"
      report(key, expected: expected, found: "the text \(node.described)", hint: hint)
      return nil
    }
    return scalar(key, expected: expected, isRequired: isRequired, parse: parse)
  }

  /// A scalar that `parse` takes.
  ///
  /// - Parameter hint: what more to say of a text that `parse` refuses.
  private func scalar<Value>(
    _ key: String, expected: String, isRequired: Bool,
    parse: (String) -> Value?, hint: (String) -> String? = { _ in nil }
  ) -> Value? {
    guard let node = value(key, required: isRequired ? expected : nil) else { return nil }
    guard case .scalar(let scalar) = node.content, !scalar.isNull else {
      report(key, expected: expected, found: node.described)
      return nil
    }
    if let parsed = parse(scalar.text) { return parsed }
    report(
      key, expected: expected, found: node.described,
      // A hint may tell of the text, and a variable's is not to be told.
      hint: scalar.isSubstituted ? nil : hint(scalar.text))
    return nil
  }
}
