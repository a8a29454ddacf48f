/// A setting whose value is not allowed, by itself or together with another setting.
package struct SettingViolation: Error, Sendable {
  /// The allowed values.
  package enum Expectation: Sendable {
    /// A value of the setting, in words.
    case value(String)
    /// A value of another setting.
    case other(any SettingDescription, is: String)
    /// No value of the setting, while another one has the given value.
    case absence(beside: any SettingDescription, String)
    /// A complete message, which does not tell `found`.
    case said(String)
  }

  package var setting: any SettingDescription
  package var expected: Expectation
  package var found: String
  /// Whether the error belongs to the section that holds the setting.
  package var concernsSection = false

  package init(
    _ setting: any SettingDescription, expected: Expectation, found: String,
    concernsSection: Bool = false
  ) {
    self.setting = setting
    self.expected = expected
    self.found = found
    self.concernsSection = concernsSection
  }

  /// The message without the name of the setting that it concerns.
  ///
  /// - Parameter name: returns the name of a setting, with a value if there is one: `mode: batch`, `--mode batch`.
  package func message(naming name: (any SettingDescription, String?) -> String) -> String {
    switch expected {
    case .value(let words): "expected \(words), found \(found)"
    case .other(let other, let value): "expected \(name(other, value)), found \(found)"
    case .absence(let other, let value):
      "expected no \(name(setting, nil)) beside \(name(other, value)), found both"
    case .said(let message): message
    }
  }

  /// The message in one line, with the names that a file uses.
  package var inFile: String {
    "\(setting.key ?? ""): \(messageInFile)"
  }

  /// The message without the name of the setting that it concerns, with the names that a file uses.
  var messageInFile: String { message(naming: fileName) }

  /// The key of another setting as the section of this one has it, with a value after a colon.
  private func fileName(_ other: any SettingDescription, _ value: String?) -> String {
    var parts = (other.key ?? "").split(separator: ".")
    for section in (setting.key ?? "").split(separator: ".").dropLast() {
      guard parts.count > 1, parts.first == section else { break }
      parts.removeFirst()
    }
    let key = parts.joined(separator: ".")
    return value.map { "\(key): \($0)" } ?? key
  }
}

/// A rule about the values of a group.
package struct SettingRule: Sendable {
  let violations: @Sendable (SettingValues) -> [SettingViolation]

  package init(_ violations: @escaping @Sendable (SettingValues) -> [SettingViolation]) {
    self.violations = violations
  }

  /// Refuses settings that have an effect only if another one has a given value.
  package static func only<Value: Equatable>(
    _ settings: [any SettingDescription], when other: Setting<Value>, is value: Value
  ) -> SettingRule {
    SettingRule { values in
      guard values[other] != value else { return [] }
      return settings.filter(values.isGiven).map {
        SettingViolation(
          $0, expected: .other(other, is: other.type.text(value) ?? ""),
          found: other.type.text(values[other]) ?? "nothing")
      }
    }
  }

  /// Refuses more than one of several settings.
  package static func oneOf(_ settings: [any SettingDescription], _ expected: String) -> SettingRule
  {
    SettingRule { values in
      let given = settings.filter(values.isGiven)
      guard given.count > 1 else { return [] }
      return [SettingViolation(given[1], expected: .value(expected), found: "both")]
    }
  }

  /// Refuses a section of a file that holds none of its settings.
  package static func anyIn(
    _ section: String, _ settings: [any SettingDescription], _ expected: String
  ) -> SettingRule {
    SettingRule { values in
      guard values.isGiven(section: section), !settings.contains(where: values.isGiven) else {
        return []
      }
      return [
        SettingViolation(
          settings[0], expected: .value(expected), found: "neither", concernsSection: true)
      ]
    }
  }

  /// Refuses settings that have no meaning if another one has a given value.
  package static func never<Value: Equatable>(
    _ settings: [any SettingDescription], beside other: Setting<Value>, is value: Value
  ) -> SettingRule {
    SettingRule { values in
      guard values[other] == value else { return [] }
      return settings.filter(values.isGiven).map {
        SettingViolation(
          $0, expected: .absence(beside: other, other.type.text(value) ?? ""), found: "both")
      }
    }
  }
}
