internal import Codecs
internal import Configuration

extension Catalogue {
  /// A message in the words of a configuration file: the keys of settings in the place of their options.
  package static func wordsOfFile(_ message: String) -> String {
    guard message.contains("--") else { return message }
    var text = ""
    var rest = Substring(message)
    while let dashes = rest.firstRange(of: "--") {
      text += rest[..<dashes.lowerBound]
      let name = rest[dashes.upperBound...].prefix { $0.isLetter || $0 == "-" }
      text += keysByOption[String(name)] ?? "--\(name)"
      rest = rest[name.endIndex...]
    }
    return text + rest
  }

  /// By the names of options. An option without a value stands for a value of its key.
  private static let keysByOption: [String: String] = {
    let groups = builtIn.streamSettings + builtIn.formats.map(\.settings)
    let pairs = groups.flatMap { group in
      group.settings.compactMap { setting -> (String, String)? in
        guard let option = setting.option else { return nil }
        let key = [group.section, setting.key ?? option.name].compactMap(\.self).joined(
          separator: ".")
        return (option.name, option.meaning.map { "\(key): \($0)" } ?? key)
      }
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }()
}
