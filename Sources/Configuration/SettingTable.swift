/// Makes the tables of settings in the documents, in Markdown.
package enum SettingTable {
  /// The settings that a file can give: key, option, default and meaning.
  package static func ofKeys(_ groups: [SettingGroup]) -> String {
    let rows = groups.flatMap { group in
      group.settings.compactMap { setting in
        setting.key.map { key in
          let path = (group.section.map { "\($0)." } ?? "") + key
          return [
            code(path), setting.option.map { code($0.spelling) } ?? "", fallback(setting),
            meaning(setting),
          ]
        }
      }
    }
    return table([["key", "option", "default", "meaning"]] + rows)
  }

  /// The settings of several kinds: kind, key, default and meaning.
  package static func ofKinds(_ kinds: [(name: String, settings: SettingGroup)]) -> String {
    let rows = kinds.flatMap { name, group -> [[String]] in
      let settings = group.settings.filter { $0.key != nil }
      guard !settings.isEmpty else { return [[code(name), "", "", "Nothing to set."]] }
      return settings.enumerated().map { index, setting in
        [
          index == 0 ? code(name) : "", code(setting.key ?? ""), fallback(setting),
          meaning(setting),
        ]
      }
    }
    return table([["kind", "key", "default", "meaning"]] + rows)
  }

  /// The presets of groups: the name, and the keys that each sets.
  package static func ofPresets(_ groups: [SettingGroup]) -> String {
    var names: [String] = []
    for preset in groups.flatMap(\.presets) where !names.contains(preset.name) {
      names.append(preset.name)
    }
    let rows = names.map { name in
      let values = groups.flatMap { group in
        group.presets.filter { $0.name == name }.flatMap(\.texts).map { setting, text in
          code("\(group.section.map { $0 + "." } ?? "")\(setting.key ?? ""): \(text)")
        }
      }
      return [code(name), values.joined(separator: ", ")]
    }
    return table([["preset", "sets"]] + rows)
  }

  private static func fallback(_ setting: any SettingDescription) -> String {
    if setting.isRequired { return "required" }
    guard let text = setting.defaultText else { return "none" }
    // A default in words gets no code marks.
    return text == setting.defaultValueText ? code(text) : text
  }

  /// The help of a setting, its range, and its words unless the help names all of them.
  private static func meaning(_ setting: any SettingDescription) -> String {
    var text = setting.help
    let unnamed = setting.words.filter { !text.contains(code($0)) && $0 != "true" && $0 != "false" }
    if !unnamed.isEmpty {
      text += " One of " + setting.words.map(code).joined(separator: ", ") + "."
    }
    if let range = setting.range {
      text += " " + range.prefix(1).uppercased() + range.dropFirst() + "."
    }
    return text.replacing("|", with: "\\|")
  }

  private static func code(_ text: String) -> String { "`\(text)`" }

  private static func table(_ rows: [[String]]) -> String {
    let rule = rows[0].map { _ in "---" }
    return ([rows[0], rule] + rows.dropFirst()).map { "| " + $0.joined(separator: " | ") + " |\n" }
      .joined()
  }
}
