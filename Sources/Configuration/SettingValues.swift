/// The values of settings: those that were given, and the defaults of all others.
package struct SettingValues: Sendable {
  /// The setting with its value: an identifier is one setting's only as long as that lives.
  private var stored: [ObjectIdentifier: (setting: any SettingDescription, value: any Sendable)] =
    [:]
  private var given: Set<ObjectIdentifier> = []
  /// The sections of a file that are there, even if nothing is set in them.
  var sections: Set<String> = []

  package init() {}

  /// The value of a setting.
  ///
  /// A setting without a default must have been given; a reader of settings makes sure of that.
  package subscript<Value>(_ setting: Setting<Value>) -> Value {
    get {
      if let value = stored[ObjectIdentifier(setting)]?.value as? Value { return value }
      guard let fallback = setting.fallback else {
        preconditionFailure("\(setting.key ?? "a setting") has no default and was not given")
      }
      return fallback
    }
    set { give(setting, newValue) }
  }

  /// Whether the user set it.
  package func isGiven(_ setting: any SettingDescription) -> Bool {
    given.contains(ObjectIdentifier(setting))
  }

  /// Whether the section of a file is there, such as `half_life`.
  package func isGiven(section: String) -> Bool { sections.contains(section) }

  /// Whether it has a value of its own: one that the user gave, or that of a preset.
  func isSet(_ setting: any SettingDescription) -> Bool {
    stored[ObjectIdentifier(setting)] != nil
  }

  mutating func give(_ setting: any SettingDescription, _ value: any Sendable) {
    stored[ObjectIdentifier(setting)] = (setting, value)
    given.insert(ObjectIdentifier(setting))
  }

  /// Takes over the values of other groups.
  package mutating func merge(_ other: SettingValues) {
    stored.merge(other.stored) { $1 }
    given.formUnion(other.given)
    sections.formUnion(other.sections)
  }

  /// Sets what a preset says, unless the user did.
  mutating func apply(_ preset: SettingPreset) {
    for (setting, value) in preset.values where !isGiven(setting) {
      stored[ObjectIdentifier(setting)] = (setting, value)
    }
  }

  /// The settings of a group with the values in force, as text, by key.
  package func texts(
    of group: SettingGroup, with effects: SettingEffects = []
  ) -> [(key: String, text: String)] {
    group.settings.filter { $0.effects.isSuperset(of: effects) }.compactMap { setting in
      guard let key = setting.key, let text = setting.text(in: self) else { return nil }
      return (key, text)
    }
  }
}
