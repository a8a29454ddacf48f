// Invariant: a setting is described in one place, and everything that knows of it reads that
// description: the configuration file, the command line, `check`, help and the tables of docs/.

/// A setting: its name, its places in the file and on the command line, its type and its meaning.
///
/// A setting is one object, declared as a static constant. `SettingValues` is asked for its value.
package final class Setting<Value: Sendable>: SettingDescription {
  package let key: String?
  package let option: SettingOption?
  package let type: SettingType<Value>
  /// How the option's text is read, if that differs from the text in a file.
  package let optionType: SettingType<Value>
  /// What holds if nobody sets it; nil for a setting that must be given.
  package let fallback: Value?
  package let isRequired: Bool
  package let effects: SettingEffects
  package let defaultText: String?
  package let help: String

  private init(
    key: String?, option: SettingOption?, type: SettingType<Value>,
    optionType: SettingType<Value>?, fallback: Value?, isRequired: Bool, effects: SettingEffects,
    defaultText: String?, help: String
  ) {
    self.key = key
    self.option = option
    self.type = type
    self.optionType = optionType ?? type
    self.fallback = fallback
    self.isRequired = isRequired
    self.effects = effects
    self.defaultText = defaultText
    self.help = help
  }

  /// A setting with a default.
  ///
  /// - Parameters:
  ///   - key: its keys within the section of its group, such as `warm_up.batches`; nil for a setting
  ///     of the command line alone.
  ///   - option: how the command line gives it; nil for a setting of the file alone.
  ///   - help: one sentence or two, in Markdown.
  package convenience init(
    _ key: String?, _ type: SettingType<Value>, default fallback: Value,
    defaultText: String? = nil, option: SettingOption? = nil,
    optionType: SettingType<Value>? = nil, effects: SettingEffects = [], help: String
  ) {
    self.init(
      key: key, option: option, type: type, optionType: optionType, fallback: fallback,
      isRequired: false, effects: effects, defaultText: defaultText ?? type.text(fallback),
      help: help)
  }

  /// A setting that must be given.
  package convenience init(
    required key: String?, _ type: SettingType<Value>, option: SettingOption? = nil,
    optionType: SettingType<Value>? = nil, effects: SettingEffects = [], help: String
  ) {
    self.init(
      key: key, option: option, type: type, optionType: optionType, fallback: nil,
      isRequired: true, effects: effects, defaultText: nil, help: help)
  }

  /// A setting that has no value unless it is given.
  ///
  /// - Parameters:
  ///   - defaultText: what holds then, in words.
  ///   - isRequired: whether the reader of a stream needs it; a writer may do without.
  package convenience init<Wrapped>(
    _ key: String?, _ type: SettingType<Wrapped>, defaultText: String? = nil,
    isRequired: Bool = false, option: SettingOption? = nil,
    optionType: SettingType<Wrapped>? = nil, effects: SettingEffects = [], help: String
  ) where Value == Wrapped? {
    self.init(
      key: key, option: option, type: type.optional, optionType: optionType?.optional,
      fallback: .some(nil), isRequired: isRequired, effects: effects, defaultText: defaultText,
      help: help)
  }

  package var expected: String { type.expected }
  package var words: [String] { type.words }
  package var isList: Bool { type.form == .list }
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

/// Where a setting is written.
package enum SettingPlace: Sendable {
  case file
  case commandLine
}

/// A setting whatever the type of its value.
package protocol SettingDescription: AnyObject, Sendable {
  /// Its keys within the section of its group, with dots between; nil: not in a file.
  var key: String? { get }
  /// How the command line gives it; nil: not at all.
  var option: SettingOption? { get }
  /// What is expected of its value, in the words of an error.
  var expected: String { get }
  /// Its values, if they are words.
  var words: [String] { get }
  /// The bounds of its value, if it is a number.
  var range: String? { get }
  var isList: Bool { get }
  /// Whether its value is a number or a word that stands without quotes in a file.
  var isLiteral: Bool { get }
  var isRequired: Bool { get }
  var effects: SettingEffects { get }
  /// What holds if nobody sets it, in words; nil: nothing does.
  var defaultText: String? { get }
  /// The default as a value, if it is one.
  var defaultValueText: String? { get }
  /// `defaultText` on the command line.
  var optionDefaultText: String? { get }
  /// The bounds of its value on the command line, if it is a number.
  var optionRange: String? { get }
  /// One sentence or two, in Markdown.
  var help: String { get }

  /// The value that texts spell: one text, or the elements of a list.
  func parse(_ texts: [String], as place: SettingPlace) throws(SettingRefusal) -> any Sendable
  func expected(at place: SettingPlace) -> String
  /// The value in force as a user would write it; nil if there is none.
  func text(in values: SettingValues) -> String?
}

/// What depends on a setting, apart from how the stream runs.
package struct SettingEffects: OptionSet, Sendable {
  package let rawValue: Int

  package init(rawValue: Int) { self.rawValue = rawValue }

  /// The form of the output: bytes that were written under another value do not go into the same file.
  package static let outputForm = SettingEffects(rawValue: 1)
  /// The meaning of what a checkpoint holds.
  package static let state = SettingEffects(rawValue: 2)
}

/// How the command line gives a setting.
package struct SettingOption: Sendable, Equatable {
  enum Form: Sendable, Equatable {
    /// `--name VALUE` or `--name=VALUE`; help calls the value so.
    case value(called: String)
    /// `--name` alone, which stands for a text.
    case flag(meaning: String)
  }

  /// Without the dashes.
  package let name: String
  /// One letter, given as `-o`.
  package let short: Character?
  let form: Form
  /// What the option does, if that is not what the setting does.
  let help: String?

  /// `--name VALUE`.
  package static func value(
    _ name: String, _ valueName: String, short: Character? = nil, help: String? = nil
  ) -> SettingOption {
    SettingOption(name: name, short: short, form: .value(called: valueName), help: help)
  }

  /// `--name`, which sets to true, or to another text.
  package static func flag(
    _ name: String, means meaning: String = "true", help: String? = nil
  ) -> SettingOption {
    SettingOption(name: name, short: nil, form: .flag(meaning: meaning), help: help)
  }

  /// As it stands in messages.
  package var spelling: String { "--" + name }
}

/// Why a text is no value of a setting.
package struct SettingRefusal: Error, Equatable, Sendable {
  /// What is expected, if the description of the setting does not say it.
  package var expected: String?
  /// What was found, if it is not the text itself.
  package var found: String?
  /// What the author may have meant.
  package var hint: String?

  package init(expected: String? = nil, found: String? = nil, hint: String? = nil) {
    self.expected = expected
    self.found = found
    self.hint = hint
  }
}
