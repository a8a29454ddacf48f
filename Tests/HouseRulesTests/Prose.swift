/// A run of prose in a file: a comment, a string, a test's name, or a paragraph of Markdown.
struct Prose {
  /// Its lines, with their numbers; without the marks of the comment and without code.
  var lines: [(number: Int, text: String)]
  /// Whether its beginning is that of a sentence.
  var beginsSentence = true
  /// Whether it is a documentation comment of Swift.
  var isDocumentation = false

  /// The text as one line, and the number of the line in which a character of it stands.
  var joined: (text: String, line: (Int) -> Int) {
    var text = ""
    var ends: [(end: Int, number: Int)] = []
    for line in lines {
      text += line.text + " "
      ends.append((text.count, line.number))
    }
    let last = lines.last?.number ?? 1
    return (text, { offset in ends.first { offset < $0.end }?.number ?? last })
  }
}

extension SourceFile {
  /// The prose of the file, as far as the form of the file is known.
  var prose: [Prose] {
    if path.hasSuffix(".md") { return markdownProse }
    if isSwift { return comments(from: "//") + swiftStrings }
    if [".c", ".cpp", ".h"].contains(where: path.hasSuffix) { return comments(from: "//") }
    if path.hasSuffix(".py") { return comments(from: "#") + docstrings }
    let scripts = [".sh", ".yaml", ".service", "Makefile", ".ci/run"]
    return scripts.contains(where: path.hasSuffix) ? comments(from: "#") : []
  }

  /// Comments that begin with `mark`. Those of successive lines are one, unless code stands before one.
  private func comments(from mark: String) -> [Prose] {
    var comments: [Prose] = []
    var current = Prose(lines: [])
    func finish() {
      if !current.lines.isEmpty { comments.append(current) }
      current = Prose(lines: [])
    }
    for (index, line) in lines.enumerated() {
      guard let range = line.firstRange(of: mark),
        // An address, or a mark within a string.
        line[..<range.lowerBound].last.map({ $0 == " " }) ?? true,
        line[..<range.lowerBound].count(where: { $0 == "\"" }).isMultiple(of: 2)
      else {
        finish()
        continue
      }
      // A block of code in a documentation comment.
      guard !line[range.upperBound...].hasPrefix("/     ") else {
        finish()
        continue
      }
      let isAlone = line[..<range.lowerBound].allSatisfy { $0 == " " }
      let text = line[range.upperBound...].drop { "/#! ".contains($0) }
      let isNew = !isAlone || text.isEmpty || text.hasPrefix("- ") || text.hasPrefix("MARK:")
      if isNew { finish() }
      if !text.isEmpty {
        current.isDocumentation = isSwift && line[range.upperBound...].hasPrefix("/")
        current.lines.append((index + 1, withoutCode(text.drop { $0 == "-" || $0 == " " })))
      }
      if !isAlone { finish() }
    }
    finish()
    return comments
  }

  /// Strings of Swift, and the names of tests.
  private var swiftStrings: [Prose] {
    lines.enumerated().flatMap { index, line -> [Prose] in
      let code = line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line
      let strings = code.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
        .filter { !$0.offset.isMultiple(of: 2) }.map(\.element)
      let names = code.contains("func `") ? code.split(separator: "`").dropFirst().prefix(1) : []
      // A string may begin in the middle of a sentence.
      let texts = strings.map { Prose(lines: [(index + 1, String($0))], beginsSentence: false) }
      // The name of a test is a sentence that begins with a small letter.
      return texts
        + names.map { Prose(lines: [(index + 1, $0.prefix(1).uppercased() + $0.dropFirst())]) }
    }
  }

  private var docstrings: [Prose] {
    var found: [Prose] = []
    var current: Prose?
    for (index, line) in lines.enumerated() {
      let parts = line.split(separator: "\"\"\"", omittingEmptySubsequences: false)
      for (number, part) in parts.enumerated() {
        if number > 0 {
          if let prose = current { found.append(prose) }
          current = current == nil ? Prose(lines: []) : nil
        }
        guard current != nil else { continue }
        if part.allSatisfy({ $0 == " " }), number == 0 {
          if let prose = current { found.append(prose) }
          current = Prose(lines: [])
        } else {
          current?.lines.append((index + 1, withoutCode(part.drop { $0 == " " })))
        }
      }
    }
    return found.filter { !$0.lines.isEmpty }
  }

  /// Paragraphs, list items, headings and rows of tables; code aside.
  private var markdownProse: [Prose] {
    var found: [Prose] = []
    var current = Prose(lines: [])
    var isCode = false
    func finish() {
      if !current.lines.isEmpty { found.append(current) }
      current = Prose(lines: [])
    }
    for (index, line) in lines.enumerated() {
      let text = line.drop { $0 == " " || $0 == ">" }
      if text.hasPrefix("```") {
        isCode.toggle()
        finish()
        continue
      }
      guard !isCode, !line.hasPrefix("    "), !text.isEmpty else {
        finish()
        continue
      }
      let isItem = text.hasPrefix("- ") || text.hasPrefix("* ") || text.first?.isNumber == true
      let isRow = text.hasPrefix("|") || text.hasPrefix("#")
      if isItem || isRow { finish() }
      if isRow { current.beginsSentence = false }
      let words = isItem ? text.drop { !$0.isLetter && $0 != "`" && $0 != "[" } : text
      current.lines.append((index + 1, withoutCode(words)))
      if isRow { finish() }
    }
    finish()
    return found
  }
}

/// A line without what stands between backticks.
private func withoutCode(_ line: Substring) -> String {
  line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
    .map { $0.offset.isMultiple(of: 2) ? String($0.element) : "code" }.joined()
}
