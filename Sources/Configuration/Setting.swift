// Invariant: each setting is described once. The configuration file, the command line, `check`, the help and the
// tables in docs/ all read that description.

/// A setting: its name in the file and on the command line, its type and its meaning.
///
/// A setting is one object, declared as a static constant. `SettingValues` holds its value.
package final class Setting<Value: Sendable>: SettingDescription {
  package let key: String?
  package let option: SettingOption?
  package let type: SettingType<Value>
  /// The type of the option, if its text differs from that in a file.
  package let optionType: SettingType<Value>
  /// The default; nil for a required setting.
  package let fallback: Value?
  package let isRequired: Bool
  package let effects: SettingEffects
  package let need: SettingNeed?
  package let defaultText: String?
  package let help: String

  private init(
    key: String?, option: SettingOption?, type: SettingType<Value>,
    optionType: SettingType<Value>?, fallback: Value?, isRequired: Bool, effects: SettingEffects,
    need: SettingNeed?, defaultText: String?, help: String
  ) {
    self.key = key
    self.option = option
    self.type = type
    self.optionType = optionType ?? type
    self.fallback = fallback
    self.isRequired = isRequired
    self.effects = effects
    self.need = need
    self.defaultText = defaultText
    self.help = help
  }

  /// A setting with a default.
  ///
  /// - Parameters:
  ///   - key: its keys within the section of its group, such as `warm_up.records`; nil if only the command line has
  ///     the setting.
  ///   - option: its form on the command line; nil if only the file has the setting.
  ///   - need: without it, the setting has no effect.
  ///   - help: one or two sentences, in Markdown.
  package convenience init(
    _ key: String?, _ type: SettingType<Value>, default fallback: Value,
    defaultText: String? = nil, option: SettingOption? = nil,
    optionType: SettingType<Value>? = nil, effects: SettingEffects = [],
    need: SettingNeed? = nil, help: String
  ) {
    self.init(
      key: key, option: option, type: type, optionType: optionType, fallback: fallback,
      isRequired: false, effects: effects, need: need,
      defaultText: defaultText ?? type.text(fallback),
      help: help)
  }

  /// A required setting.
  package convenience init(
    required key: String?, _ type: SettingType<Value>, option: SettingOption? = nil,
    optionType: SettingType<Value>? = nil, effects: SettingEffects = [], help: String
  ) {
    self.init(
      key: key, option: option, type: type, optionType: optionType, fallback: nil,
      isRequired: true, effects: effects, need: nil, defaultText: nil, help: help)
  }

  /// A setting that may have no value.
  ///
  /// - Parameters:
  ///   - defaultText: describes what happens without a value.
  ///   - isRequired: whether a stream that reads needs it; one that only writes does not.
  package convenience init<Wrapped>(
    _ key: String?, _ type: SettingType<Wrapped>, defaultText: String? = nil,
    isRequired: Bool = false, option: SettingOption? = nil,
    optionType: SettingType<Wrapped>? = nil, effects: SettingEffects = [],
    need: SettingNeed? = nil, help: String
  ) where Value == Wrapped? {
    self.init(
      key: key, option: option, type: type.optional, optionType: optionType?.optional,
      fallback: .some(nil), isRequired: isRequired, effects: effects, need: need,
      defaultText: defaultText,
      help: help)
  }

  package var expected: String { type.expected }
  package var words: [String] { type.words }
  package var isList: Bool { type.form == .list }
  package var isMapping: Bool { type.form == .mapping }
  package var isLiteral: Bool { type.form == .literal }
  package var range: String? { type.range }
  package var optionRange: String? { optionType.range }

  package func parse(
    _ texts: [String], as place: SettingPlace
  ) throws(SettingRefusal) -> any Sendable {
    switch place {
    case .file: try type.parse(texts)
    case .commandLine: try optionType.parse(texts)
    }
  }

  package func expected(at place: SettingPlace) -> String {
    switch place {
    case .file: type.expected
    case .commandLine: optionType.expected
    }
  }

  package var defaultValueText: String? { fallback.flatMap { type.text($0) } }

  package var optionDefaultText: String? {
    guard let fallback, let text = optionType.text(fallback) else { return defaultText }
    return text
  }

  package func text(in values: SettingValues) -> String? {
    values.isSet(self) || fallback != nil ? type.text(values[self]) : nil
  }
}

/// The form in which a setting is written.
package enum SettingPlace: Sendable {
  case file
  case commandLine
}

/// A setting without the type of its value.
package protocol SettingDescription: AnyObject, Sendable {
  /// Its keys within the section of its group, joined by dots; nil if a file cannot give it.
  var key: String? { get }
  /// Its form on the command line; nil if the command line cannot give it.
  var option: SettingOption? { get }
  /// The expected value, in the words of an error.
  var expected: String { get }
  /// Its possible values, if they are words.
  var words: [String] { get }
  /// The bounds of its value, if it is a number.
  var range: String? { get }
  var isList: Bool { get }
  /// Whether a file may give its value as a mapping: names with a text each.
  var isMapping: Bool { get }
  /// Whether its value is a number or a word that has no quotes in a file.
  var isLiteral: Bool { get }
  var isRequired: Bool { get }
  var effects: SettingEffects { get }
  /// Without it, the setting has no effect.
  var need: SettingNeed? { get }
  /// The default in words; nil if there is none.
  var defaultText: String? { get }
  /// The default as a value, if it is one.
  var defaultValueText: String? { get }
  /// The default in words, on the command line.
  var optionDefaultText: String? { get }
  /// The bounds of its value on the command line, if it is a number.
  var optionRange: String? { get }
  /// One or two sentences, in Markdown.
  var help: String { get }

  /// Parses a value from one text, or from the elements of a list.
  func parse(_ texts: [String], as place: SettingPlace) throws(SettingRefusal) -> any Sendable
  func expected(at place: SettingPlace) -> String
  /// The value in force as a user writes it; nil if there is none.
  func text(in values: SettingValues) -> String?
}

/// The stored data that a setting affects, besides how the stream runs.
package struct SettingEffects: OptionSet, Sendable {
  package let rawValue: Int

  package init(rawValue: Int) { self.rawValue = rawValue }

  /// The form of the output. Output of another value must not go into the same file.
  package static let outputForm = SettingEffects(rawValue: 1)
  /// The meaning of the state in a checkpoint.
  package static let state = SettingEffects(rawValue: 2)
  /// The bytes of records that a format makes of the features alone. Its other settings concern reading.
  package static let writing = SettingEffects(rawValue: 4)
}

/// The form of a setting on the command line.
package struct SettingOption: Sendable, Equatable {
  enum Form: Sendable, Equatable {
    /// `--name VALUE` or `--name=VALUE`. `called` is the name of the value in the help.
    case value(called: String)
    /// `--name` without a value. It stands for the text `meaning`.
    case flag(meaning: String)
  }

  /// The name without the dashes.
  package let name: String
  /// One letter, given as `-o`, for example.
  package let short: Character?
  let form: Form
  /// The help of the option, if it differs from that of the setting.
  let help: String?

  /// `--name VALUE`.
  package static func value(
    _ name: String, _ valueName: String, short: Character? = nil, help: String? = nil
  ) -> SettingOption {
    SettingOption(name: name, short: short, form: .value(called: valueName), help: help)
  }

  /// `--name`, which means true, or another text.
  package static func flag(
    _ name: String, means meaning: String = "true", help: String? = nil
  ) -> SettingOption {
    SettingOption(name: name, short: nil, form: .flag(meaning: meaning), help: help)
  }

  /// The text that the option stands for; nil if it takes a value.
  package var meaning: String? {
    if case .flag(let meaning) = form { meaning } else { nil }
  }

  /// The spelling in messages.
  package var spelling: String { "--" + name }
}

/// The reason why a text is not a value of a setting.
package struct SettingRefusal: Error, Equatable, Sendable {
  /// The expected value, if it differs from the description of the setting.
  package var expected: String?
  /// The found value, if it is not the text itself.
  package var found: String?
  /// A correction that the author may have meant.
  package var hint: String?

  package init(expected: String? = nil, found: String? = nil, hint: String? = nil) {
    self.expected = expected
    self.found = found
    self.hint = hint
  }
}
