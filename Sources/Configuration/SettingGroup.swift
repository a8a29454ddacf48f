/// The settings of one thing (a format, a connector, an operator, a part of a stream) and what must hold
/// among them.
package struct SettingGroup: Sendable {
  /// The heading in help and tables.
  package let title: String
  /// The key of its section within that of its owner; nil: its settings stand in the owner's section.
  package let section: String?
  package let settings: [any SettingDescription]
  package let presets: [SettingPreset]
  package let rules: [SettingRule]

  package init(
    _ title: String, section: String? = nil, _ settings: [any SettingDescription] = [],
    presets: [SettingPreset] = [], rules: [SettingRule] = []
  ) {
    self.title = title
    self.section = section
    self.settings = settings
    self.presets = presets
    self.rules = rules
  }

  /// Everything that makes no sense among the values of the group.
  package func violations(in values: SettingValues) -> [SettingViolation] {
    rules.flatMap { $0.violations(values) }
  }
}

/// A value of a setting that stands for the values of several others.
package struct SettingPreset: Sendable {
  /// The setting that chooses it, and the text that does.
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

  /// The settings that it sets, with their values as a user would write them.
  package var texts: [(setting: any SettingDescription, text: String)] {
    var assigned = SettingValues()
    for (setting, value) in values { assigned.give(setting, value) }
    return values.map { ($0.0, $0.0.text(in: assigned) ?? "") }
  }

  /// Whether the values choose it.
  func isChosen(in values: SettingValues) -> Bool {
    values.isGiven(chooser) && chooser.text(in: values) == name
  }
}

/// A setting and a value of it.
package struct SettingAssignment: Sendable {
  let setting: any SettingDescription
  let value: any Sendable

  package static func set<Value>(_ setting: Setting<Value>, to value: Value) -> SettingAssignment {
    SettingAssignment(setting: setting, value: value)
  }
}
