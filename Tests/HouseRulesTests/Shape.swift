import Foundation

/// Three numbers that tell how short the way of a record and of a checkpoint is, counted in the sources.
struct Shape {
  let files: [SourceFile]

  init() throws {
    files = try SourceTree.files().filter { $0.path.hasPrefix("Sources/") && $0.isSwift }
  }

  // MARK: Carriers

  /// The functions by which a record is handed on, from the source to the sink, each with the pattern of a
  /// type that it hands on.
  private static let handOvers: [(path: String, pattern: String)] = [
    ("Sources/Stream/Stages/SplitReader.swift", #"func append\(_ \w+: inout (\w+)\)"#),
    ("Sources/Codecs/RecordDecoder.swift", #"into \w+: inout (\w+), limit"#),
    ("Sources/Stream/Stages/Elements.swift", #"case records\((\w+)\)"#),
    ("Sources/Stream/Stages/OperateStage.swift", #"emit: \(consuming (\w+)\)"#),
    ("Sources/Stream/Stages/EncodeWorker.swift", #"func work\(_ \w+: consuming (\w+)\)"#),
    ("Sources/Stream/Stages/EncodeWorker.swift", #"func work\(.*\) throws -> (\w+)"#),
    ("Sources/Codecs/RecordEncoder.swift", #"func encode\(_ \w+: (\w+),"#),
    ("Sources/Codecs/RecordEncoder.swift", #"func encode\(.*into \w+: (\w+)\)"#),
    ("Sources/Stream/Stages/EmitStage.swift", #"Signal<(\w+)>"#),
    ("Sources/Connectors/ByteSink.swift", #"func write\(_ \w+: (\[\w+\])\)"#),
  ]

  /// The types that hold a record on its way, by the functions that hand it on. Views of their memory, such
  /// as the window of a decoder, are none.
  func carriers() throws -> Set<String> {
    var found: Set<String> = []
    for (path, pattern) in Self.handOvers {
      let types = try matches(pattern, in: path)
      guard !types.isEmpty else { throw ShapeError(missing: "\(pattern) in \(path)") }
      found.formUnion(types)
    }
    return found
  }

  // MARK: State vectors

  /// Each column that a group of state with a value a feature declares, with the stored vectors of its name
  /// outside the state table: each one is copied by hand.
  func vectorCopies() throws -> [(column: String, holders: [String])] {
    let columns = try files.flatMap { file in
      try groups(file.text, #"\.(?:real|count)\(\s*"(\w+)"(?!, of)"#).filter { !$0.isEmpty }
    }
    guard columns.contains("mean") else { throw ShapeError(missing: "the columns of the moments") }
    // Few lines declare a vector; to match each line of the sources with each column takes half a minute.
    let declarations = files.filter { !$0.path.hasPrefix("Sources/State/") }.flatMap { file in
      file.lines.filter { $0.contains(": [Double]") || $0.contains(": [Int]") }
        .map { (path: file.path, line: String($0)) }
    }
    return try Set(columns).sorted().map { column in
      let name = camelCase(column)
      let pattern =
        #"^ *(?:\w+(?:\(set\))? )*(?:let|var) (?:\w+, )*\#(name)(?:, \w+)*: \[(?:Double|Int)\]"#
      let holders = try declarations.filter { try !groups($0.line, "(\(pattern))").isEmpty }
      return (column, holders.map(\.path))
    }
  }

  // MARK: Checkpoints

  /// The places that let a checkpoint begin: those that make a barrier.
  func checkpointTriggers() throws -> [String] {
    try files.flatMap { file in
      try groups(file.text, #"(\bBarrier\(\s*input:)"#).map { _ in file.path }
    }
  }

  // MARK: Reading

  private func matches(_ pattern: String, in path: String) throws -> [String] {
    guard let file = files.first(where: { $0.path == path }) else {
      throw ShapeError(missing: path)
    }
    return try groups(file.text, pattern)
  }

  private func camelCase(_ name: String) -> String {
    let words = name.split(separator: "_")
    return words.dropFirst().reduce(String(words[0])) { $0 + $1.capitalized }
  }
}

/// Sources that are not as a count expects them.
struct ShapeError: Error, CustomStringConvertible {
  let missing: String

  var description: String { "expected \(missing) in the sources, found none: mend Shape.swift" }
}

/// The first group of each match.
private func groups(_ text: String, _ pattern: String) throws -> [String] {
  let expression = try NSRegularExpression(pattern: pattern, options: [.anchorsMatchLines])
  return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).compactMap {
    Range($0.range(at: 1), in: text).map { String(text[$0]) }
  }
}
