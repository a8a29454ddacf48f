/// The most lines that a type may have, its extensions in the same file included.
let typeLineLimit = 300

/// The most stored properties that a stage may have.
let stagePropertyLimit = 12

/// A declaration of a type or an extension, by its place in a file.
struct Declaration {
  var name: String
  var head: String
  /// The numbers of its first and its last line.
  var lines: ClosedRange<Int>
  /// The lines of its body that are members, not within one.
  var members: [Substring]
}

extension SourceFile {
  /// The types and extensions of a Swift file that stand at its outermost level. The form is that of
  /// `swift format`: the closing brace has the indentation of the first line.
  var declarations: [Declaration] {
    guard isSwift else { return [] }
    let keywords = ["struct", "class", "enum", "actor", "protocol", "extension"]
    let lines = self.lines
    var found: [Declaration] = []
    var index = 0
    while index < lines.count {
      defer { index += 1 }
      let words = lines[index].split { $0 == " " }
      guard lines[index].first?.isLetter == true,
        let keyword = words.firstIndex(where: { keywords.contains(String($0)) }),
        words[..<keyword].allSatisfy({ word in word.allSatisfy { $0.isLetter || "()".contains($0) }
        }),
        keyword + 1 < words.count
      else { continue }
      let name = words[keyword + 1].prefix { $0.isLetter || $0.isNumber || "_.".contains($0) }
      guard let open = lines[index...].firstIndex(where: { $0.contains("{") }) else { continue }
      let head = lines[index...open].joined(separator: " ")
      let end =
        lines[open].hasSuffix("}") ? open : lines[open...].firstIndex { $0 == "}" } ?? open
      let members = open < end ? lines[(open + 1)..<end].filter { isMember($0) } : []
      found.append(
        Declaration(
          name: String(name), head: head, lines: (index + 1)...(end + 1), members: members))
      index = end
    }
    return found
  }

  private func isMember(_ line: Substring) -> Bool {
    line.hasPrefix("  ") && line.dropFirst(2).first.map { $0 != " " && $0 != "/" } == true
  }
}

@Sendable func typesAreShort(_ file: SourceFile) -> [Violation] {
  let declarations = file.declarations
  return Set(declarations.map(\.name)).sorted().compactMap { name in
    let parts = declarations.filter { $0.name == name }
    let count = parts.map(\.lines.count).reduce(0, +)
    guard count > typeLineLimit, !oversizedTypes.contains(name), let first = parts.first else {
      return nil
    }
    return Violation(
      path: file.path, line: first.lines.lowerBound,
      message: "\(name) has \(count) lines, over \(typeLineLimit)")
  }
}

@Sendable func stagesHoldLittle(_ file: SourceFile) -> [Violation] {
  file.declarations.compactMap { declaration in
    guard declaration.head.contains(": Stage ") || declaration.head.contains(": Stage,") else {
      return nil
    }
    let count = declaration.members.count(where: isStoredProperty)
    guard count > stagePropertyLimit, !oversizedStages.contains(declaration.name) else {
      return nil
    }
    return Violation(
      path: file.path, line: declaration.lines.lowerBound,
      message:
        "stage \(declaration.name) has \(count) stored properties, over \(stagePropertyLimit)")
  }
}

/// Whether a member is a stored property of instances.
func isStoredProperty(_ member: Substring) -> Bool {
  let words = member.split(separator: " ").filter { !$0.hasPrefix("@") }
  guard let keyword = words.firstIndex(where: { $0 == "let" || $0 == "var" }),
    words[..<keyword].allSatisfy({ word in word.allSatisfy { $0.isLetter || "()".contains($0) } }),
    !words[..<keyword].contains("static")
  else { return false }
  guard let brace = member.firstIndex(of: "{") else { return true }
  // A closure is the value of a stored property, an observer belongs to one.
  return member[..<brace].contains("=") || member.contains("didSet") || member.contains("willSet")
}
