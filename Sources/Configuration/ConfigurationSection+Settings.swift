// Reads described settings.
extension ConfigurationSection {
  /// Reads the settings of a group, and checks its rules.
  ///
  /// - Returns: nil if something is wrong; the error is reported.
  package func values(of group: SettingGroup) -> SettingValues? {
    guard let values = read([group]) else { return nil }
    return check([group], values) ? values : nil
  }

  /// Reads the settings of groups from this section and from sections in it.
  ///
  /// - Parameter isComplete: whether a missing required setting is an error.
  /// - Returns: nil if a value is wrong, or a required one is missing; the error is reported.
  package func read(
    _ groups: [SettingGroup], requiring isComplete: Bool = true
  ) -> SettingValues? {
    var all: SettingValues? = SettingValues()
    for group in groups {
      if let values = read(group, requiring: isComplete) {
        all?.merge(values)
      } else {
        all = nil
      }
    }
    guard var values = all else { return nil }
    for preset in groups.flatMap(\.presets) where preset.isChosen(in: values) {
      values.apply(preset)
    }
    return values
  }

  /// Checks the rules of groups against the values, and reports those that do not hold.
  ///
  /// - Returns: whether all rules hold.
  package func check(_ groups: [SettingGroup], _ values: SettingValues) -> Bool {
    let violations = groups.flatMap { $0.violations(in: values) }
    for violation in violations { report(violation) }
    return violations.isEmpty
  }

  private func read(_ group: SettingGroup, requiring isComplete: Bool) -> SettingValues? {
    if let name = group.section {
      guard let section = reading(name, holdsWord: false) else { return nil }
      let own = SettingGroup(group.title, group.settings, retired: group.retired)
      return section.read(own, requiring: isComplete)
    }
    let inFile = group.settings.filter { $0.key != nil }
    // A key that leads to other keys may hold a word instead: `compression: off`.
    let leading = Set(inFile.flatMap { Self.leadingKeys($0.key ?? "") })
      .intersection(inFile.map { $0.key ?? "" })
    var values = SettingValues()
    var isWhole = true
    for setting in inFile {
      switch answer(to: setting, leading: leading, &values) {
      case .value(let value): values.give(setting, value)
      case .wrong: isWhole = false
      case .absent:
        guard setting.isRequired, isComplete else { continue }
        let (section, key) = place(of: setting)
        section.report("expected \(setting.expected), found nothing", at: key)
        isWhole = false
      }
    }
    let retired = group.retired.count { refuse($0) }
    return isWhole && retired == 0 ? values : nil
  }

  /// Reports a setting that is no more, if it is there.
  ///
  /// - Returns: whether it is.
  private func refuse(_ retired: SettingRetirement) -> Bool {
    var section = self
    for leader in Self.leadingKeys(retired.key) {
      let key = String(leader.split(separator: ".").last ?? "")
      guard section.contains(key), let inner = section.reading(key, holdsWord: false) else {
        return false
      }
      section = inner
    }
    let key = String(retired.key.split(separator: ".").last ?? "")
    guard section.contains(key) else { return false }
    _ = section.value(key, required: nil)
    section.report("expected \(retired.replacement.key ?? ""), which replaces it", at: key)
    return true
  }

  /// Reports an error at a setting that was read from this section or from a section in it.
  package func report(_ violation: SettingViolation) {
    let (section, key) = place(of: violation.setting)
    let message = violation.messageInFile
    if violation.concernsSection, section !== self {
      section.report(message, at: nil)
    } else {
      section.report(message, keyPath: key)
    }
  }

  /// Reports an error at a setting, or at this section for nil. The message must not contain a value, since a
  /// variable may hold a secret.
  package func report(_ message: String, at setting: (any SettingDescription)?) {
    guard let setting else { return report(message, at: String?.none) }
    let (section, key): (ConfigurationSection, String) = place(of: setting)
    section.report(message, at: key)
  }

  /// A section that settings were read from, by the keys that lead to it; nil if there is none.
  package func sectionRead(at keys: [String]) -> ConfigurationSection? {
    var section = self
    for key in keys {
      guard let inner = section.sectionsRead[key] ?? nil else { return nil }
      section = inner
    }
    return section
  }

  /// The position of a setting that was read from this section or from a section in it.
  package func place(of setting: any SettingDescription) -> ConfigurationPlace {
    let (section, key): (ConfigurationSection, String) = place(of: setting)
    return section.place(of: key)
  }

  private enum Answer {
    case value(any Sendable)
    case absent
    case wrong
  }

  /// The leading keys: `a` and `a.b` for `a.b.c`.
  private static func leadingKeys(_ key: String) -> [String] {
    let parts = key.split(separator: ".")
    return (1..<max(1, parts.count)).map { parts[..<$0].joined(separator: ".") }
  }

  /// Looks a setting up in the file. Marks the keys that lead to it as known.
  private func answer(
    to setting: any SettingDescription, leading: Set<String>, _ values: inout SettingValues
  ) -> Answer {
    let path = setting.key ?? ""
    var section = self
    for leader in Self.leadingKeys(path) {
      let key = String(leader.split(separator: ".").last ?? "")
      if section.contains(key) { values.sections.insert(leader) }
      guard let inner = section.reading(key, holdsWord: leading.contains(leader)) else {
        return .wrong
      }
      section = inner
    }
    let key = String(path.split(separator: ".").last ?? "")
    section.note(setting, at: key)
    return section.answer(to: setting, at: key, isLeading: leading.contains(path))
  }

  /// The section at a key, to read settings from. It is empty if the key is absent or holds a word. Returns nil if
  /// the value is no section, and reports that once.
  private func reading(_ key: String, holdsWord: Bool) -> ConfigurationSection? {
    if let known = sectionsRead[key] { return known }
    var section: ConfigurationSection?
    if holdsWord, text(at: key) != nil {
      section = defaults(at: key)
    } else {
      let isWrong = contains(key)
      section = self.section(key) ?? (isWrong ? nil : defaults(at: key))
    }
    sectionsRead.updateValue(section, forKey: key)
    return section
  }

  private func answer(
    to setting: any SettingDescription, at key: String, isLeading: Bool
  ) -> Answer {
    guard let node = value(key, required: nil) else { return contains(key) ? .wrong : .absent }
    let texts: [String]
    switch node.content {
    case .mapping where isLeading: return .absent
    case .scalar(let scalar) where isLeading && scalar.isNull: return .absent
    case .scalar(let scalar) where !scalar.isNull:
      if setting.isLiteral, !scalar.isPlain, !scalar.isSubstituted {
        let isValue = (try? setting.parse([scalar.text], as: .file)) != nil
        report(
          key, expected: setting.expected, found: "the text \(node.described)",
          hint: isValue ? "leave out the quotes" : nil)
        return .wrong
      }
      texts = [scalar.text]
    case .list(let elements) where setting.isList:
      guard let found = self.texts(of: elements, expected: setting.expected, at: key) else {
        return .wrong
      }
      texts = found
    case .mapping(let entries) where setting.isMapping:
      guard let found = self.texts(of: entries, expected: setting.expected, at: key) else {
        return .wrong
      }
      texts = found
    default:
      report(key, expected: setting.expected, found: node.described)
      return .wrong
    }
    do throws(SettingRefusal) {
      return .value(try setting.parse(texts, as: .file))
    } catch {
      report(
        key, expected: error.expected ?? setting.expected, found: error.found ?? node.described,
        // A hint may show the text, but no error may show the value of a variable.
        hint: node.isSubstituted ? nil : error.hint)
      return .wrong
    }
  }

  /// The entries of a mapping, as texts. Returns nil and reports an error if a value is no text and no file.
  private func texts(
    of entries: [ConfigurationNode.Entry], expected: String, at key: String
  ) -> [String]? {
    var texts: [String] = []
    for entry in entries {
      switch entry.value.content {
      case .unusable: return nil
      case .scalar(let scalar) where !scalar.isNull: texts.append("\(entry.key)=\(scalar.text)")
      case .mapping(let inner):
        guard let file = inner.first, inner.count == 1, file.key == "file",
          case .scalar(let path) = file.value.content, !path.isNull
        else { fallthrough }
        texts.append("\(entry.key):file=\(path.text)")
      default:
        report(
          "expected \(expected), found \(entry.value.described) for \(quoted(entry.key))", at: key)
        return nil
      }
    }
    return texts
  }

  /// The texts of a list. Returns nil and reports an error if an element is no text.
  private func texts(
    of elements: [ConfigurationNode], expected: String, at key: String
  ) -> [String]? {
    var texts: [String] = []
    for element in elements {
      switch element.content {
      case .scalar(let scalar) where !scalar.isNull: texts.append(scalar.text)
      case .unusable: return nil
      default:
        report("expected \(expected), found \(element.described) in the list", at: key)
        return nil
      }
    }
    return texts
  }
}
