internal import Configuration
internal import Connectors
internal import Operators
internal import Storage

extension SourceDefinition {
  /// The settings were wrong, which is reported.
  struct Wrong: Error {}

  /// Whether a kind can bring gradients: it has no end, keeps no list of its splits, and is not that of the process.
  static func canBringGradients(_ kind: SourceKind) -> Bool {
    kind.isLive && kind.name != SourceKind.directory.name
      && kind.name != SourceKind.standardInput.name
  }

  /// Reads the section of a source of gradients, after the settings of the stream; nil if there is none, or only a path.
  static func readGradients(
    _ stream: ConfigurationSection, of name: String, from kinds: [SourceKind],
    claims: inout ConnectorClaims, on fileSystem: any FileSystem
  ) -> Result<SourceDefinition?, Wrong> {
    let keys = (LearnSettings.gradients.key ?? "").split(separator: ".").map(String.init)
    guard let section = stream.sectionRead(at: keys), !section.keys.isEmpty else {
      return .success(nil)
    }
    let kinds = kinds.filter(canBringGradients)
    let names = kinds.map(\.name)
    let expected = "exactly one of \(names.joined(separator: ", "))"
    guard section.keys.contains(where: { $0 != "format" }) else {
      section.report(nil, expected: expected, found: "nothing")
      return .failure(Wrong())
    }
    guard let chosen = section.onlyKind(of: names, expected: expected),
      let definition = SourceDefinition(
        chosen, of: name, from: kinds, claims: &claims, on: fileSystem)
    else { return .failure(Wrong()) }
    return .success(definition)
  }
}
