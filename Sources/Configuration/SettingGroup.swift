/// The settings of a format, a connector, an operator or a part of a stream, with their rules.
package struct SettingGroup: Sendable {
  /// The heading in the help and in tables.
  package let title: String
  /// The key of its section within that of its owner. If nil, its settings are in the owner's section.
  package let section: String?
  package let settings: [any SettingDescription]
  package let presets: [SettingPreset]
  package let rules: [SettingRule]
  /// Settings that earlier versions had here.
  package let retired: [SettingRetirement]

  package init(
    _ title: String, section: String? = nil, _ settings: [any SettingDescription] = [],
    presets: [SettingPreset] = [], rules: [SettingRule] = [], retired: [SettingRetirement] = []
  ) {
    self.title = title
    self.section = section
    self.settings = settings
    self.presets = presets
    self.rules = rules
    self.retired = retired
  }

  /// All rules of the group that the values break.
  package func violations(in values: SettingValues) -> [SettingViolation] {
    rules.flatMap { $0.violations(values) }
  }
}

/// A setting that earlier versions had. A user who still gives it is told the one that replaces it.
package struct SettingRetirement: Sendable {
  let key: String
  /// As the command line had it.
  let option: String
  let replacement: any SettingDescription

  package init(_ key: String, option: String, replacement: any SettingDescription) {
    self.key = key
    self.option = option
    self.replacement = replacement
  }
}

/// A value of a setting that sets several other settings.
package struct SettingPreset: Sendable {
  /// The setting that selects the preset, and the text that does.
  let chooser: any SettingDescription
  package let name: String
  let values: [(any SettingDescription, any Sendable)]

  package init<Choice: RawRepresentable<String>>(
    _ chooser: Setting<Choice?>, is choice: Choice, sets assignments: [SettingAssignment]
  ) {
    self.chooser = chooser
    name = choice.rawValue
    values = assignments.map { ($0.setting, $0.value) }
  }

  /// The settings that it sets, with their values as a user writes them.
  package var texts: [(setting: any SettingDescription, text: String)] {
    var assigned = SettingValues()
    for (setting, value) in values { assigned.give(setting, value) }
    return values.map { ($0.0, $0.0.text(in: assigned) ?? "") }
  }

  /// Whether the values select the preset.
  func isChosen(in values: SettingValues) -> Bool {
    values.isGiven(chooser) && chooser.text(in: values) == name
  }
}

/// A setting and its value.
package struct SettingAssignment: Sendable {
  let setting: any SettingDescription
  let value: any Sendable

  package static func set<Value>(_ setting: Setting<Value>, to value: Value) -> SettingAssignment {
    SettingAssignment(setting: setting, value: value)
  }
}
