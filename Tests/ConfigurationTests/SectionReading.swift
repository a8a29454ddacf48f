@testable import Configuration

/// Reads a text as a configuration, with the variables given.
func document(
  _ text: String, _ variables: [String: String] = [:]
) throws -> ConfigurationDocument {
  try ConfigurationDocument(Array(text.utf8), file: "f.yaml") { variables[$0] }
}

/// The errors of a text whose root `read` reads, each without the name of the file.
func errors(
  _ text: String, _ variables: [String: String] = [:],
  read: (ConfigurationSection) -> Void = { _ in }
) -> [String] {
  do {
    let document = try document(text, variables)
    read(document.root)
    try document.check()
    return []
  } catch {
    let failure = error as? ConfigurationFailure
    return failure?.errors.map { String($0.description.dropFirst("f.yaml:".count)) } ?? ["\(error)"]
  }
}

enum Colour: String, CaseIterable {
  case red
  case green
  case infraRed = "infra_red"
}
