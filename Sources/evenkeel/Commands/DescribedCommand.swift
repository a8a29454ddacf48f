internal import ArgumentParser
internal import Configuration

/// A command whose options are described settings, but for a few of its own.
protocol DescribedCommand: ParsableCommand {
  /// The settings that it takes, in the order of its help.
  static var settings: [SettingGroup] { get }

  func run(_ settings: CommandLineSettings) throws
}

extension DescribedCommand {
  /// Runs the command with its arguments; described settings are taken out of them first.
  static func run(_ arguments: [String]) throws {
    let name = configuration.commandName ?? ""
    guard !asksForHelp(arguments) else { return try writeToStandardOutput(help) }
    let given: CommandLineSettings
    do throws(CommandLineError) {
      given = try CommandLineSettings(arguments, of: settings, others: nil)
    } catch {
      throw CommandFailure(error)
    }
    let command = try Evenkeel.parsed([name] + given.rest, as: self)
    if let command = command as? Self {
      try command.run(given)
    } else {
      // ArgumentParser's own commands, such as the one that shows the version.
      var command = command
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
