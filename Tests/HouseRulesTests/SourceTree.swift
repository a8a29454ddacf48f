import Foundation

/// The files of the repository that people write.
enum SourceTree {
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Every text file, the rules' own aside: those spell what they forbid.
  static func files() throws -> [SourceFile] {
    var files: [SourceFile] = []
    for top in try FileManager.default.contentsOfDirectory(atPath: root.path()) {
      guard !isMade(top) else { continue }
      try collect(top, into: &files)
    }
    return files.sorted { $0.path < $1.path }
  }

  /// Whether a name at the root is no work of people: builds, environments, version control.
  private static func isMade(_ name: String) -> Bool {
    (name.hasPrefix(".")
      && ![".ci", ".editorconfig", ".gitignore", ".swift-format"].contains(name))
      || name == "Package.resolved"
  }

  private static func collect(_ path: String, into files: inout [SourceFile]) throws {
    let url = root.appending(path: path)
    guard path != "Tests/HouseRulesTests", !path.hasSuffix("__pycache__") else { return }
    if try url.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true {
      for name in try FileManager.default.contentsOfDirectory(atPath: url.path()) {
        try collect("\(path)/\(name)", into: &files)
      }
    } else if let text = String(data: try Data(contentsOf: url), encoding: .utf8) {
      files.append(SourceFile(path: path, text: text))
    }
  }
}
