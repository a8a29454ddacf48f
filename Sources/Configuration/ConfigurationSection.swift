internal import Records

// Invariants:
// - Reading never stops at an error. Errors are collected, and thrown together at the end.
// - No error shows the value of a variable. It shows the text in the file.

/// One mapping of a configuration file.
///
/// Reading a key marks it as known and checks its value. Each error has file, line, column and the path of the key. A
/// key that no code read is an error too.
package final class ConfigurationSection {
  /// The keys that lead to this section, such as `streams.weather.batch`; empty for the whole file.
  package let path: String
  private let entries: [ConfigurationNode.Entry]
  /// The position of the section's key, or of its start.
  private let mark: SourceMark
  private let errors: ConfigurationErrors
  private let places: [String: Int]
  private var known: Set<String> = []
  private var sections: [ConfigurationSection] = []
  /// The sections that settings were read from, by key; nil if the value is no section.
  var sectionsRead: [String: ConfigurationSection?] = [:]
  /// The settings that were read from this section, with their keys.
  private var settings: [ObjectIdentifier: (setting: any SettingDescription, key: String)] = [:]

  init(
    entries: [ConfigurationNode.Entry], path: String, mark: SourceMark, errors: ConfigurationErrors
  ) {
    self.entries = entries
    self.path = path
    self.mark = mark
    self.errors = errors
    places = Dictionary(entries.enumerated().map { ($1.key, $0) }) { first, _ in first }
  }

  /// The keys in the section, in the order of the file. Marks none as known.
  package var keys: [String] { entries.map(\.key) }

  /// Whether the section has the key. Does not mark it as known.
  package func contains(_ key: String) -> Bool { places[key] != nil }

  /// The text at a key, if there is one. Does not mark the key as known, and reports nothing.
  package func text(at key: String) -> String? {
    guard case .scalar(let scalar) = entry(key)?.value.content, !scalar.isNull else { return nil }
    return scalar.text
  }

  /// The position of a key's value, or of this section for nil.
  package func place(of key: String?) -> ConfigurationPlace {
    guard let key else {
      return ConfigurationPlace(file: errors.file, path: path, written: nil, mark: mark)
    }
    let entry = entry(key)
    var place = entry?.mark ?? mark
    if case .scalar(let scalar) = entry?.value.content, !scalar.isNull {
      place = entry?.value.mark ?? place
    }
    let written = entry.flatMap { $0.value.isSubstituted ? $0.value.described : nil }
    return ConfigurationPlace(
      file: errors.file, path: path(to: key), written: written, mark: place)
  }

  /// Reports an error at a key of this section, or at the section itself for nil.
  ///
  /// If the value came from a variable, the error shows the text in the file instead of `found`.
  package func report(_ key: String?, expected: String, found: String, hint: String? = nil) {
    let node = key.flatMap { entry($0)?.value }
    let shown = node.flatMap { $0.isSubstituted ? $0.described : nil } ?? found
    report("expected \(expected), found \(shown)", at: key, hint: hint)
  }

  /// Reports an error at a key of this section, or of a section in it that was read, such as `batch.size`.
  ///
  /// If the value came from a variable, the error shows the text in the file instead of the message.
  package func report(_ message: String, keyPath: String) {
    let parts = keyPath.split(separator: ".", maxSplits: 1).map(String.init)
    if parts.count == 2, let below = sections.first(where: { $0.path == path(to: parts[0]) }) {
      return below.report(message, keyPath: parts[1])
    }
    if let node = entry(parts[0])?.value, node.isSubstituted {
      return report("expected another value, found \(node.described)", at: parts[0])
    }
    report(message, at: parts[0])
  }

  /// Reports an error with a free message. The message must not contain a value.
  package func report(_ message: String, at key: String?, hint: String? = nil) {
    let place = place(of: key)
    errors.report(message, path: place.path, at: place.mark, hint: hint)
  }

  /// Reports the keys that no code has read, here and in inner sections. Top-level keys that start with `x-` are
  /// exempt: authors use them for anchors.
  func reportUnknownKeys() {
    for entry in entries where !known.contains(entry.key) {
      if path.isEmpty, entry.key.hasPrefix("x-") { continue }
      let near = nearestName(to: entry.key, in: known.sorted())
      let names = known.sorted().joined(separator: ", ")
      errors.report(
        "unknown key", path: path(to: entry.key), at: entry.mark,
        hint: near.map { "did you mean '\($0)'?" }
          ?? (names.isEmpty ? "no key is known here" : "known here: \(names)"))
    }
    for section in sections { section.reportUnknownKeys() }
  }

  /// Marks a key as known and returns its value; nil if there is none or it cannot be used.
  ///
  /// - Parameter required: what is expected, if the key is required.
  func value(_ key: String, required: String?) -> ConfigurationNode? {
    known.insert(key)
    guard let entry = entry(key) else {
      if let required { report("expected \(required), found nothing", at: key) }
      return nil
    }
    if case .unusable = entry.value.content { return nil }
    return entry.value
  }

  /// Records that a setting was read at a key.
  func note(_ setting: any SettingDescription, at key: String) {
    settings[ObjectIdentifier(setting)] = (setting, key)
  }

  /// The section that a setting was read from, and its key there.
  func place(of setting: any SettingDescription) -> (section: ConfigurationSection, key: String) {
    find(setting) ?? (self, setting.key ?? "")
  }

  private func find(
    _ setting: any SettingDescription
  ) -> (section: ConfigurationSection, key: String)? {
    if let found = settings[ObjectIdentifier(setting)] { return (self, found.key) }
    return sections.lazy.compactMap { $0.find(setting) }.first
  }

  func path(to key: String) -> String {
    path.isEmpty ? key : "\(path).\(key)"
  }

  private func entry(_ key: String) -> ConfigurationNode.Entry? {
    places[key].map { entries[$0] }
  }
}

// Inner sections.
extension ConfigurationSection {
  /// The mapping at a key. Empty if the key has no value; nil if it is absent or no mapping.
  package func section(_ key: String) -> ConfigurationSection? {
    guard let node = value(key, required: nil) else { return nil }
    return section(key, node, expected: "a mapping")
  }

  /// An empty section at a key, in which all settings have their defaults.
  func defaults(at key: String) -> ConfigurationSection {
    known.insert(key)
    let defaults = ConfigurationSection(
      entries: [], path: path(to: key), mark: mark, errors: errors)
    sections.append(defaults)
    return defaults
  }

  /// The sections at a key. The user chose their names. In the order of the file.
  package func namedSections(_ key: String) -> [(name: String, section: ConfigurationSection)] {
    guard let section = section(key) else { return [] }
    return section.entries.compactMap { entry in
      section.section(entry.key).map { (entry.key, $0) }
    }
  }

  /// The kind that a key selects, and the section with its settings. The file has `{ name: {…} }`, or only the name
  /// if all settings have defaults.
  package func kind(
    _ key: String, of names: [String]
  ) -> (name: String, section: ConfigurationSection)? {
    let expected = "exactly one of \(names.joined(separator: ", "))"
    guard let node = value(key, required: expected) else { return nil }
    switch node.content {
    case .scalar(let scalar) where names.contains(scalar.text):
      let section = ConfigurationSection(
        entries: [], path: path(to: key) + "." + scalar.text, mark: node.mark, errors: errors)
      sections.append(section)
      return (scalar.text, section)
    case .scalar(let scalar):
      report(
        key, expected: expected, found: node.described,
        hint: scalar.isSubstituted ? nil : meant(scalar.text, of: names))
      return nil
    default:
      guard let kinds = section(key, node, expected: expected) else { return nil }
      return kinds.onlyKind(of: names, expected: expected)
    }
  }

  /// The sections of a list that a key has under a name, as in `source: { sequence: [ … ] }`; nil if it has none under
  /// that name. Empty if the list is wrong, which is reported.
  ///
  /// - Parameter counts: the possible lengths of the list.
  package func list(
    _ key: String, under name: String, of what: String, _ counts: ClosedRange<Int>
  ) -> [ConfigurationSection]? {
    let expected = "a list of \(counts.lowerBound) to \(counts.upperBound) \(what)"
    switch entry(key)?.value.content {
    case .scalar(let scalar) where scalar.text == name:
      known.insert(key)
      report(key, expected: "\(expected) in \(name)", found: "nothing")
      return []
    case .mapping(let entries) where entries.contains(where: { $0.key == name }):
      return section(key)?.elements(of: name, expected: expected, counts) ?? []
    default: return nil
    }
  }

  private func elements(
    of key: String, expected: String, _ counts: ClosedRange<Int>
  ) -> [ConfigurationSection] {
    guard let node = value(key, required: nil) else { return [] }
    guard case .list(let elements) = node.content, counts ~= elements.count else {
      var found = node.described
      if case .list(let elements) = node.content { found = "one of \(elements.count)" }
      report(key, expected: expected, found: found)
      return []
    }
    var found: [ConfigurationSection] = []
    for (index, element) in elements.enumerated() {
      guard case .mapping(let entries) = element.content else {
        report("expected \(expected), found \(element.described) in the list", at: key)
        return []
      }
      let section = ConfigurationSection(
        entries: entries, path: path(to: "\(key)[\(index)]"), mark: element.mark, errors: errors)
      sections.append(section)
      found.append(section)
    }
    return found
  }

  /// Reports an error at a key, whatever its value is.
  package func refuse(_ key: String, _ message: String) {
    known.insert(key)
    report(message, at: key)
  }

  /// The only kind that this section has, and the section with its settings.
  package func onlyKind(
    of names: [String], expected: String
  ) -> (name: String, section: ConfigurationSection)? {
    let chosen = entries.filter { names.contains($0.key) }
    for name in names { known.insert(name) }
    guard let first = chosen.first, chosen.count == 1 else {
      // A misspelt name is reported as an unknown key.
      if chosen.count > 1 || entries.isEmpty {
        let found = chosen.isEmpty ? "nothing" : chosen.map(\.key).joined(separator: " and ")
        report(nil, expected: expected, found: found)
      }
      return nil
    }
    return section(first.key).map { (first.key, $0) }
  }

  private func section(
    _ key: String, _ node: ConfigurationNode, expected: String
  ) -> ConfigurationSection? {
    let inner: [ConfigurationNode.Entry]
    switch node.content {
    case .mapping(let found): inner = found
    case .scalar(let scalar) where scalar.isNull: inner = []
    default:
      report(key, expected: expected, found: node.described)
      return nil
    }
    let section = ConfigurationSection(
      entries: inner, path: path(to: key), mark: entry(key)?.mark ?? node.mark, errors: errors)
    sections.append(section)
    return section
  }

  func meant(_ word: String, of names: [String]) -> String? {
    nearestName(to: word, in: names).map { "did you mean '\($0)'?" }
  }
}
