/// A text after the substitution of variables.
struct SubstitutedText: Equatable {
  var value: String
  /// Whether a part of it came from a variable or its default.
  var isSubstituted: Bool
}

/// A reference to a variable that cannot be resolved. Contains no value.
struct SubstitutionFault: Error {
  var message: String
  var hint: String?
}

/// Replaces `${NAME}` and `${NAME:-default}` by values of the environment, and `$${` by `${`.
///
/// As in a shell, the default also replaces an empty value. The value of a variable is not substituted again.
///
/// - Returns: nil if the text has no reference.
func substituted(
  _ text: String, from environment: (String) -> String?
) throws(SubstitutionFault) -> SubstitutedText? {
  guard text.contains("${") else { return nil }
  var result = SubstitutedText(value: "", isSubstituted: false)
  var rest = text[...]
  while let dollar = rest.firstIndex(of: "$") {
    result.value += rest[..<dollar]
    rest = rest[dollar...]
    if rest.hasPrefix("$${") {
      result.value += "${"
      rest = rest.dropFirst(3)
    } else if rest.hasPrefix("${") {
      guard let end = rest.firstIndex(of: "}") else {
        throw SubstitutionFault(
          message: "expected '}' after '${'", hint: "write '$${' for '${' itself")
      }
      let reference = rest[rest.index(dollar, offsetBy: 2)..<end]
      result.value += try value(of: reference, from: environment)
      result.isSubstituted = true
      rest = rest[rest.index(after: end)...]
    } else {
      result.value += "$"
      rest = rest.dropFirst()
    }
  }
  result.value += rest
  return result
}

private func value(
  of reference: Substring, from environment: (String) -> String?
) throws(SubstitutionFault) -> String {
  let separator = reference.firstRange(of: ":-")
  let name = String(reference[..<(separator?.lowerBound ?? reference.endIndex)])
  let isName =
    name.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    } && name.utf8.first.map { $0 > UInt8(ascii: "9") } ?? false
  guard isName else {
    throw SubstitutionFault(
      message: "expected the name of a variable after '${', found \(quoted(name))",
      hint: "write '$${' for '${' itself")
  }
  let value = environment(name)
  if let separator {
    return value.flatMap { $0.isEmpty ? nil : $0 } ?? String(reference[separator.upperBound...])
  }
  guard let value else {
    throw SubstitutionFault(
      message: "the variable '\(name)' is not set",
      hint: "write '${\(name):-default}' for a default")
  }
  return value
}
