internal import Records

/// The settings of a command line, separated from its other arguments.
package struct CommandLineSettings: Sendable {
  /// The text of each given option, by name.
  private var texts: [String: String] = [:]
  /// The arguments that are no settings, in order.
  package private(set) var rest: [String] = []

  /// Separates the options of `groups` from the other arguments.
  ///
  /// - Parameter others: the spellings of the options that the command itself knows. If nil, an unknown option goes
  ///   into `rest` and is not refused.
  package init(
    _ arguments: [String], of groups: [SettingGroup], others: [String]?
  ) throws(CommandLineError) {
    let options = groups.flatMap(\.settings).compactMap(\.option)
    var named: [String: SettingOption] = [:]
    for option in options {
      named[option.spelling] = option
      if let short = option.short { named["-\(short)"] = option }
    }
    var index = arguments.startIndex
    while index < arguments.endIndex {
      let argument = arguments[index]
      index += 1
      guard argument != "--" else {
        rest += arguments[(index - 1)...]
        return
      }
      let equals = argument.firstIndex(of: "=")
      let name = String(argument[..<(equals ?? argument.endIndex)])
      let value = equals.map { String(argument[argument.index(after: $0)...]) }
      guard let option = named[name] else {
        if let old = groups.lazy.flatMap(\.retired).first(where: { $0.option == name }) {
          let now = old.replacement.option?.spelling ?? ""
          throw CommandLineError(option: name, message: "expected \(now), which replaces it")
        }
        if let others, Self.isOption(argument), !others.contains(name) {
          let known = named.keys.sorted() + others
          throw CommandLineError(
            option: name, message: "unknown option",
            hint: nearestName(to: name, in: known.filter { $0.hasPrefix("--") })
              .map { "did you mean '\($0)'?" })
        }
        rest.append(argument)
        continue
      }
      guard texts[option.name] == nil else { throw CommandLineError(repeated: name) }
      switch option.form {
      case .flag(let meaning):
        guard value == nil else {
          throw CommandLineError(option: name, message: "expected no value, found '\(value ?? "")'")
        }
        texts[option.name] = meaning
      case .value:
        if let value {
          texts[option.name] = value
        } else if index < arguments.endIndex, !Self.isOption(arguments[index]) {
          texts[option.name] = arguments[index]
          index += 1
        } else {
          throw CommandLineError(option: name, message: "expected a value, found nothing")
        }
      }
    }
  }

  /// Whether an argument is an option. `-` and negative numbers are not.
  package static func isOption(_ argument: String) -> Bool {
    argument.hasPrefix("-") && argument != "-" && Double(argument) == nil
  }

  /// Whether the command line gives a setting.
  package func gives(_ setting: any SettingDescription) -> Bool {
    setting.option.map { texts[$0.name] != nil } ?? false
  }

  /// Reads the settings of groups.
  ///
  /// - Parameter isComplete: whether a missing required setting is an error.
  /// - Throws: an error for the first value that is wrong or missing.
  package func read(
    _ groups: [SettingGroup], requiring isComplete: Bool = true
  ) throws(CommandLineError) -> SettingValues {
    var values = SettingValues()
    for setting in groups.flatMap(\.settings) {
      guard let option = setting.option else { continue }
      guard let text = texts[option.name] else {
        guard setting.isRequired, isComplete else { continue }
        throw CommandLineError(
          option: option.spelling,
          message: "expected \(setting.expected(at: .commandLine)), found nothing")
      }
      do {
        let elements = setting.isList || setting.isMapping ? listElements(text) : [text]
        let value = try setting.parse(elements, as: .commandLine)
        values.give(setting, value)
      } catch {
        let expected = error.expected ?? setting.expected(at: .commandLine)
        throw CommandLineError(
          option: option.spelling,
          message: "expected \(expected), found \(error.found ?? quoted(text))", hint: error.hint)
      }
    }
    for preset in groups.flatMap(\.presets) where preset.isChosen(in: values) {
      values.apply(preset)
    }
    return values
  }

  /// Checks the rules of groups against the values.
  ///
  /// - Throws: an error for the first rule that does not hold.
  package func check(
    _ groups: [SettingGroup], _ values: SettingValues
  ) throws(CommandLineError) {
    if let violation = groups.lazy.flatMap({ $0.violations(in: values) }).first {
      throw CommandLineError(violation)
    }
  }
}

/// An option of the command line that is wrong.
package struct CommandLineError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The option as the user spells it.
  package var option: String
  package var message: String
  /// A correction that the user may have meant.
  package var hint: String?

  package init(option: String, message: String, hint: String? = nil) {
    self.option = option
    self.message = message
    self.hint = hint
  }

  /// An option that is given twice. Neither value may win silently.
  package init(repeated option: String) {
    self.init(option: option, message: "expected it once, found it twice")
  }

  package init(_ violation: SettingViolation) {
    option = violation.setting.option?.spelling ?? violation.setting.key ?? ""
    message = violation.message { setting, value in
      let name = setting.option?.spelling ?? setting.key ?? ""
      // A flag says its value by itself.
      guard let value, setting.option?.meaning != value else { return name }
      return "\(name) \(value)"
    }
  }

  package var description: String {
    "\(option): \(message)" + (hint.map { "; \($0)" } ?? "")
  }
}
