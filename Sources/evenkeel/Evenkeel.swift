internal import ArgumentParser
internal import CLinux
internal import Configuration
internal import Glibc
internal import Records

/// The command line.
@main
struct Evenkeel: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evenkeel",
    abstract: "Normalises streams of features by batch or running statistics.",
    version: evenkeelVersion,
    subcommands: [
      Normalize.self, Fit.self, Merge.self, Learn.self, Run.self, Reload.self, Check.self,
      Test.self,
      Inspect.self, Drift.self, Export.self, Import.self, Top.self, Tap.self, Generate.self,
    ])

  /// Like ArgumentParser's `main`, except for errors: one line and an exit code of sysexits(3).
  static func main() {
    keepMemory()
    do {
      try run(Array(CommandLine.arguments.dropFirst()))
    } catch let failure as CommandFailure {
      failure.report()
      Glibc.exit(failure.exitCode)
    } catch {
      let code = exitCode(for: error)
      // Help, the version, and codes that a command chose itself.
      guard code == .validationFailure else { exit(withError: error) }
      wrongUsage(message(for: error)).report()
      Glibc.exit(code.rawValue)
    }
  }

  private static func run(_ arguments: [String]) throws {
    if arguments.count == 2, arguments[0] == "help" {
      return try run([arguments[1], "--help"])
    }
    let named = configuration.subcommands.first {
      $0.configuration.commandName == arguments.first
    }
    if let first = arguments.first, named == nil, first != "help", !first.hasPrefix("-") {
      throw unknownCommand(first)
    }
    guard let described = named as? any DescribedCommand.Type else {
      try refuseRepeats(arguments)
      var command = try parsed(arguments, as: named)
      return try command.run()
    }
    try described.run(Array(arguments.dropFirst()))
  }

  /// Refuses an option that is given twice, of which ArgumentParser would take the last.
  private static func refuseRepeats(_ arguments: [String]) throws {
    var seen: Set<Substring> = []
    for argument in arguments.prefix(while: { $0 != "--" })
    where CommandLineSettings.isOption(argument) {
      let name = argument.prefix { $0 != "=" }
      guard seen.insert(name == "-o" ? "--output" : name).inserted else {
        throw CommandFailure(CommandLineError(repeated: String(name)))
      }
    }
  }

  /// Parses the command that the first argument names. Parsing from the root would collect its options once more,
  /// which takes a sixth of the start-up time. The root parses requests for help and wrong options, because its
  /// messages need the whole command line.
  static func parsed(
    _ arguments: [String], as named: (any ParsableCommand.Type)?
  ) throws -> any ParsableCommand {
    if let named, let command = try? named.parseAsRoot(Array(arguments.dropFirst())),
      type(of: command) == named
    {
      return command
    }
    return try parseAsRoot(arguments)
  }

  private static func unknownCommand(_ word: String) -> CommandFailure {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    let hint = nearestName(to: word, in: names).map { "; did you mean '\($0)'?" }
    return CommandFailure(
      "expected a command (\(names.joined(separator: ", "))), found \(quoted(word))\(hint ?? "")",
      exitCode: 64)
  }

  /// A message of ArgumentParser about wrong arguments, in our words.
  private static func wrongUsage(_ message: String) -> CommandFailure {
    let line = message.split(separator: "\n").first.map(String.init) ?? message
    let forms = [
      ("Missing expected argument ", "expected ", ", found nothing"),
      ("Missing value for ", "expected a value for ", ", found nothing"),
      ("Unexpected argument ", "unexpected argument ", ""),
      ("Unknown option ", "unknown option ", ""),
    ]
    let text =
      forms.lazy.compactMap { start, words, end in
        line.hasPrefix(start) ? words + line.dropFirst(start.count) + end : nil
      }.first ?? line
    let command = CommandLine.arguments.dropFirst().first { name in
      configuration.subcommands.contains { $0.configuration.commandName == name }
    }
    let help = (["evenkeel", command].compactMap(\.self)).joined(separator: " ")
    return CommandFailure("\(text); \(help) --help lists the options", exitCode: 64)
  }

  /// Makes the heap keep freed memory below these bounds, because batches and frames are allocated and freed all the
  /// time, on several threads. A single arena avoids that free memory collects for one thread while another allocates
  /// more.
  private static func keepMemory() {
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 64 << 20)
    mallopt(M_ARENA_MAX, 1)
  }
}
