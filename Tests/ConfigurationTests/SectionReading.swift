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

extension ConfigurationSection {
  /// The value at a key, as a setting of a type would have it; nil if it is absent or wrong.
  @discardableResult
  func value<Value>(_ key: String, _ type: SettingType<Value>) -> Value? {
    let setting = Setting(key, type, help: "")
    return read([SettingGroup("", [setting])])?[setting] ?? nil
  }

  /// The value at a key that must be there; nil if it is absent or wrong.
  @discardableResult
  func required<Value>(_ key: String, _ type: SettingType<Value>) -> Value? {
    let setting = Setting(required: key, type, help: "")
    return read([SettingGroup("", [setting])])?[setting]
  }
}

enum Colour: String, CaseIterable {
  case red
  case green
  case infraRed = "infra_red"
}
