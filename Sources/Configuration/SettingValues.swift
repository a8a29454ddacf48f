/// The values of settings: the given ones, and the defaults of all others.
package struct SettingValues: Sendable {
  /// The values by setting. Keeps the setting too, because its identifier is unique only while it exists.
  private var stored: [ObjectIdentifier: (setting: any SettingDescription, value: any Sendable)] =
    [:]
  private var given: Set<ObjectIdentifier> = []
  /// The sections that the file has, even if they are empty.
  var sections: Set<String> = []

  package init() {}

  /// The value of a setting.
  ///
  /// A required setting must have been given. The readers of settings check that.
  package subscript<Value>(_ setting: Setting<Value>) -> Value {
    get {
      // In two steps: an absent value of an optional type would pass for a nil that was given.
      if let stored = stored[ObjectIdentifier(setting)], let value = stored.value as? Value {
        return value
      }
      guard let fallback = setting.fallback else {
        preconditionFailure("\(setting.key ?? "a setting") has no default and was not given")
      }
      return fallback
    }
    set { give(setting, newValue) }
  }

  /// Whether the user gave the setting.
  package func isGiven(_ setting: any SettingDescription) -> Bool {
    given.contains(ObjectIdentifier(setting))
  }

  /// Whether the file has a section, such as `half_life`.
  package func isGiven(section: String) -> Bool { sections.contains(section) }

  /// Whether the setting has its own value: given by the user or by a preset.
  func isSet(_ setting: any SettingDescription) -> Bool {
    stored[ObjectIdentifier(setting)] != nil
  }

  /// The settings that have their own values, by their keys.
  package var set: [any SettingDescription] {
    stored.values.map(\.setting).sorted { ($0.key ?? "") < ($1.key ?? "") }
  }

  /// The value of the first of several settings that was given, else of the first that has one: of settings
  /// that exclude each other, a preset may set one and a user another.
  package func firstGiven<Value>(
    _ settings: [(setting: any SettingDescription, value: Value?)]
  ) -> Value? {
    settings.first { isGiven($0.setting) }?.value ?? settings.lazy.compactMap(\.value).first
  }

  mutating func give(_ setting: any SettingDescription, _ value: any Sendable) {
    stored[ObjectIdentifier(setting)] = (setting, value)
    given.insert(ObjectIdentifier(setting))
  }

  /// Adds the values of other groups.
  ///
  /// A value that the user gave overrides one of a preset.
  package mutating func merge(_ other: SettingValues) {
    stored.merge(other.stored.filter { !given.contains($0.key) || other.given.contains($0.key) }) {
      $1
    }
    given.formUnion(other.given)
    sections.formUnion(other.sections)
  }

  /// Sets what something else tells, such as the name of a file, unless the user set it.
  package mutating func suggest<Value>(_ setting: Setting<Value>, _ value: Value) {
    guard !isGiven(setting) else { return }
    stored[ObjectIdentifier(setting)] = (setting, value)
  }

  /// Sets what a preset says, unless the user did.
  mutating func apply(_ preset: SettingPreset) {
    for (setting, value) in preset.values where !isGiven(setting) {
      stored[ObjectIdentifier(setting)] = (setting, value)
    }
  }

  /// The values in force of a group, as text, by key.
  package func texts(
    of group: SettingGroup, with effects: SettingEffects = []
  ) -> [(key: String, text: String)] {
    group.settings.filter { $0.effects.isSuperset(of: effects) }.compactMap { setting in
      guard let key = setting.key, let text = setting.text(in: self) else { return nil }
      return (key, text)
    }
  }
}
