/// A file of the repository.
struct SourceFile {
  /// Relative to the root, with `/` between the parts.
  let path: String
  let text: String
  let lines: [Substring]
  /// The lines with their numbers, comments cut off.
  let code: [(number: Int, text: Substring)]

  init(path: String, text: String) {
    self.path = path
    self.text = text
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    code = lines.enumerated().map { index, line in
      (index + 1, line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line)
    }
  }

  var isSwift: Bool { path.hasSuffix(".swift") }

  /// The Swift module the file belongs to, or nil outside `Sources`.
  var module: String? {
    let parts = path.split(separator: "/")
    return isSwift && parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }
}

/// A place where a file breaks a rule.
struct Violation: Equatable, CustomStringConvertible {
  let path: String
  let line: Int
  let message: String

  var description: String { "\(path):\(line): \(message)" }
}

/// A rule is a function from a file to where the file breaks it.
typealias Rule = @Sendable (SourceFile) -> [Violation]

/// Every rule by its name.
let houseRules: [(name: String, rule: Rule)] = [
  ("imports", importsFollowTheTable),
  ("wrappers", cModulesAreMetInTheirWrappers),
  ("unsafe code", unsafeCodeStandsWhereItIsAllowed),
  ("forbidden words", nothingTrapsOrEscapesChecking),
  ("unchecked Sendable", uncheckedSendableSaysBecause),
  ("length", filesAreShort),
  ("type length", typesAreShort),
  ("stage size", stagesHoldLittle),
  ("language", proseIsPlain),
  ("file names", filesAreNamedForWhatTheyHold),
  ("unfinished work", nothingIsLeftForLater),
  ("machine paths", noPathOfABuildMachine),
]

/// The module that a line of Swift imports, or nil.
func importedModule(_ line: Substring) -> String? {
  let words = line.split(separator: " ")
  guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count,
    words[..<keyword].allSatisfy({
      $0.hasPrefix("@") || ["internal", "package", "public", "private", "fileprivate"].contains($0)
    })
  else { return nil }
  let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let"]
  let name = words[(keyword + 1)...].first { !kinds.contains($0) }
  return name?.split(separator: ".").first.map(String.init)
}

@Sendable func importsFollowTheTable(_ file: SourceFile) -> [Violation] {
  guard let module = file.module else { return [] }
  let allowed = allowedImports[module] ?? []
  return file.code.compactMap { number, line in
    guard let imported = importedModule(line), !allowed.contains(imported) else { return nil }
    return Violation(
      path: file.path, line: number, message: "module \(module) may not import \(imported)")
  }
}

@Sendable func cModulesAreMetInTheirWrappers(_ file: SourceFile) -> [Violation] {
  guard file.module != nil else { return [] }
  return file.code.compactMap { number, line in
    guard let imported = importedModule(line), let wrappers = wrapperFiles[imported],
      !wrappers.contains(file.path)
    else { return nil }
    return Violation(
      path: file.path, line: number,
      message: "\(imported) is met only in \(wrappers.sorted().joined(separator: ", "))")
  }
}

@Sendable func unsafeCodeStandsWhereItIsAllowed(_ file: SourceFile) -> [Violation] {
  guard file.module != nil, filesWithUnsafeCode[file.path] == nil else { return [] }
  return file.code.compactMap { number, line in
    guard line.contains("Unsafe") || line.contains("unsafe") else { return nil }
    return Violation(
      path: file.path, line: number, message: "unsafe code outside the files listed for it")
  }
}

@Sendable func nothingTrapsOrEscapesChecking(_ file: SourceFile) -> [Violation] {
  guard file.isSwift else { return [] }
  let forbidden = ["try!", "as!", "fatalError", "nonisolated(unsafe)"].filter(file.text.contains)
  guard !forbidden.isEmpty else { return [] }
  return file.code.flatMap { number, line in
    forbidden.filter(line.contains).map {
      Violation(path: file.path, line: number, message: "\($0) is not used here")
    }
  }
}

@Sendable func uncheckedSendableSaysBecause(_ file: SourceFile) -> [Violation] {
  guard file.isSwift else { return [] }
  let lines = file.lines
  func isComment(_ index: Int) -> Bool {
    lines[index].drop { $0 == " " }.hasPrefix("//")
  }
  return file.code.compactMap { number, line in
    guard line.contains("@unchecked Sendable") else { return nil }
    // The comment ends just above the declaration, or begins within its head or just below.
    var first = number - 1
    while first > 0, isComment(first - 1) { first -= 1 }
    let last = min(number + 2, lines.count - 1)
    let comments = lines[first...last].compactMap { line in
      line.firstRange(of: "//").map { line[$0.upperBound...].lowercased() }
    }
    guard !comments.contains(where: { $0.contains("because") }) else { return nil }
    return Violation(
      path: file.path, line: number, message: "@unchecked Sendable without a \"because\" comment")
  }
}

@Sendable func filesAreShort(_ file: SourceFile) -> [Violation] {
  let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
  guard file.isCode, count > lineLimit, !oversizedFiles.contains(file.path) else { return [] }
  return [
    Violation(path: file.path, line: lineLimit + 1, message: "\(count) lines, over \(lineLimit)")
  ]
}

@Sendable func filesAreNamedForWhatTheyHold(_ file: SourceFile) -> [Violation] {
  let name = file.path.split(separator: "/").last?.lowercased() ?? ""
  return ["util", "helper", "manager", "common"].filter(name.contains).map {
    Violation(path: file.path, line: 1, message: "a file name with \"\($0)\" says nothing")
  }
}

@Sendable func nothingIsLeftForLater(_ file: SourceFile) -> [Violation] {
  guard file.isCode else { return [] }
  let marks = ["TODO", "FIXME", "XXX"].filter(file.text.contains)
  guard !marks.isEmpty else { return [] }
  return file.lines.enumerated().flatMap { index, line in
    // Whole words: a template such as that of mkdtemp(3) is none of them.
    let words = line.split { !$0.isLetter }
    return marks.filter { words.contains(Substring($0)) }.map {
      Violation(path: file.path, line: index + 1, message: "\($0): finish it or leave it out")
    }
  }
}

@Sendable func noPathOfABuildMachine(_ file: SourceFile) -> [Violation] {
  let roots = ["/work/", "/home/", "/root/", "/Users/", "/opt/"].filter(file.text.contains)
  guard !roots.isEmpty else { return [] }
  return file.lines.enumerated().compactMap { index, line in
    let hasRoot = roots.contains { root in
      line.ranges(of: root).contains { range in
        // Within a longer path or an address it is no root.
        let before = line[..<range.lowerBound].last
        return before.map { !$0.isLetter && !$0.isNumber && !"._-})*".contains($0) } ?? true
      }
    }
    guard hasRoot else { return nil }
    return Violation(path: file.path, line: index + 1, message: "a path of somebody's machine")
  }
}

extension SourceFile {
  /// Whether the file is a program text, as opposed to prose and data.
  var isCode: Bool {
    let endings = [".swift", ".c", ".cpp", ".h", ".py", ".sh", "Makefile", ".ci/run"]
    return endings.contains(where: path.hasSuffix)
  }
}
