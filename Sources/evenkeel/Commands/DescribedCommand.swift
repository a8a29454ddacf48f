internal import ArgumentParser
internal import Configuration

/// A command whose options are described settings. ArgumentParser parses its arguments.
protocol DescribedCommand: ParsableCommand {
  /// Its settings, in the order of its help.
  static var settings: [SettingGroup] { get }

  func run(_ given: CommandLineSettings) throws
}

extension DescribedCommand {
  /// The options that ArgumentParser gives every command.
  private static var parserOptions: [String] {
    [
      "--help", "-h", "--help-hidden", "--version", "--generate-completion-script",
      "--experimental-dump-help",
    ]
  }

  /// Runs the command with its arguments. Takes the described settings out of them first.
  static func run(_ arguments: [String]) throws {
    let name = configuration.commandName ?? ""
    guard !asksForHelp(arguments) else { return try writeToStandardOutput(help) }
    let given: CommandLineSettings
    do throws(CommandLineError) {
      given = try CommandLineSettings(arguments, of: settings, others: parserOptions)
    } catch {
      let more = error.hint == nil ? "; evenkeel \(name) --help lists the options" : ""
      throw CommandFailure("\(error)\(more)", exitCode: 64)
    }
    var command = try Evenkeel.parsed([name] + given.rest, as: self)
    if let described = command as? Self {
      try described.run(given)
    } else {
      // A command of ArgumentParser, such as the one that shows the version.
      try command.run()
    }
  }

  private static func asksForHelp(_ arguments: [String]) -> Bool {
    arguments.prefix { $0 != "--" }.contains { $0 == "--help" || $0 == "-h" }
  }

  /// ArgumentParser's help with the described settings before its own options.
  static var help: String {
    let columns = 80
    let text = Evenkeel.helpMessage(for: self, columns: columns)
    guard let options = text.firstRange(of: "\nOPTIONS:\n") else { return text + "\n" }
    return text[..<options.lowerBound] + "\n" + SettingHelp.sections(settings, columns: columns)
      + text[options.lowerBound...] + "\n"
  }
}
