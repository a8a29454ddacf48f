internal import ArgumentParser
internal import Stream

/// `evenkeel run`: runs the daemon.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract:
      "Runs every stream of a configuration until SIGTERM or SIGINT. SIGHUP reloads the file.")

  @Option(help: ArgumentHelp("The configuration.", valueName: "file"))
  var config: String

  func run() throws {
    do {
      try Daemon(configurationFile: config).run()
    } catch {
      throw CommandFailure(error)
    }
  }
}
