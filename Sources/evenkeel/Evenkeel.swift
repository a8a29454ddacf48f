internal import ArgumentParser
internal import CLinux
internal import Glibc

/// The command line.
@main
struct Evenkeel: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evenkeel",
    abstract: "Normalises streams of features by batch or running statistics.",
    version: evenkeelVersion,
    subcommands: [
      Normalize.self, Fit.self, Merge.self, Run.self, Reload.self, Check.self, Inspect.self,
      Export.self, Import.self, Top.self, Generate.self,
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
      exit(withError: error)
    }
  }

  private static func run(_ arguments: [String]) throws {
    if arguments.count == 2, arguments[0] == "help" {
      return try run([arguments[1], "--help"])
    }
    let named = configuration.subcommands.first {
      $0.configuration.commandName == arguments.first
    }
    guard let described = named as? any DescribedCommand.Type else {
      var command = try parsed(arguments, as: named)
      return try command.run()
    }
    try described.run(Array(arguments.dropFirst()))
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

  /// Makes the heap keep freed memory below these bounds, because batches and frames are allocated and freed all the
  /// time, on several threads. A single arena avoids that free memory collects for one thread while another allocates
  /// more.
  private static func keepMemory() {
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 64 << 20)
    mallopt(M_ARENA_MAX, 1)
  }
}
