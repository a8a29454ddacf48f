/// The part of a command's help that is made from the described settings.
package enum SettingHelp {
  private static let labelWidth = 24

  /// The settings that have options, each group under its title.
  package static func sections(_ groups: [SettingGroup], columns: Int) -> String {
    groups.compactMap { section($0, columns: columns) }.joined(separator: "\n")
  }

  /// The options of a group; nil if it has none.
  private static func section(_ group: SettingGroup, columns: Int) -> String? {
    let entries = group.settings.compactMap { setting in
      setting.option.map { entry(setting, $0, columns: columns) }
    }
    guard !entries.isEmpty else { return nil }
    return group.title.uppercased() + ":\n" + entries.joined()
  }

  private static func entry(
    _ setting: any SettingDescription, _ option: SettingOption, columns: Int
  ) -> String {
    let label = "  " + (option.short.map { "-\($0), " } ?? "") + option.synopsis
    let lines = wrapped(text(setting, option), columns: columns - labelWidth - 2)
    let indent = String(repeating: " ", count: labelWidth + 2)
    guard label.count <= labelWidth + 1 else {
      return label + "\n" + lines.map { indent + $0 + "\n" }.joined()
    }
    let padding = String(repeating: " ", count: indent.count - label.count)
    return label + padding + lines.joined(separator: "\n" + indent) + "\n"
  }

  /// The help of a setting, its values and its default, without the marks of Markdown.
  private static func text(_ setting: any SettingDescription, _ option: SettingOption) -> String {
    var notes: [String] = []
    if case .value = option.form {
      if let range = setting.optionRange { notes.append(range) }
      if !setting.words.isEmpty {
        notes.append("values: " + setting.words.joined(separator: ", "))
      }
      if setting.isRequired { notes.append("required") }
      if let fallback = setting.optionDefaultText { notes.append("default: " + fallback) }
    }
    let help = (option.help ?? setting.help).filter { $0 != "`" }
    return help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
  }

  /// Breaks a text at spaces into lines of at most `columns` characters.
  static func wrapped(_ text: String, columns: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if line.isEmpty {
        line = String(word)
      } else if line.count + 1 + word.count <= columns {
        line += " " + word
      } else {
        lines.append(line)
        line = String(word)
      }
    }
    return lines + (line.isEmpty ? [] : [line])
  }
}

extension SettingOption {
  /// The option with its value, as the help shows it.
  var synopsis: String {
    switch form {
    case .value(let called): "\(spelling) <\(called)>"
    case .flag: spelling
    }
  }
}
