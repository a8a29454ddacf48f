internal import ArgumentParser
internal import Configuration
internal import ControlPlane
internal import FoundationEssentials
internal import Records
internal import Stream

/// `evenkeel check`: reads a configuration file without running it.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks a configuration file and reports every error in it.",
    discussion: """
      Each error is one line on stderr: FILE:LINE:COLUMN: KEY: expected …, found …. The exit code is 0 if \
      there is no error, and 78 otherwise.
      """)

  @Option(help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
  var config: String

  @Flag(
    help: ArgumentHelp(
      "Also try sources, sinks, parameters and checkpoints.",
      discussion: "It takes nothing from a source, and changes nothing."))
  var connect = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let configuration: DaemonConfiguration
    do throws(DaemonConfigurationError) {
      configuration = try DaemonConfiguration.load(config) { environment[$0] }
    } catch {
      guard case .wrong = error else { throw CommandFailure(error) }
      // The lines start with file, line and column, in the form that editors and terminals recognise.
      writeToStandardError("\(error)\n")
      throw ExitCode(error.exitCode)
    }
    let failures = tokenFailures(configuration) + (connect ? configuration.tryConnecting() : [])
    guard failures.isEmpty else {
      writeToStandardError(failures.map { "\($0)\n" }.joined())
      throw ExitCode(78)
    }
    let count = configuration.streams.count
    try writeToStandardOutput(
      "\(printable(config)): fine, \(count) \(count == 1 ? "stream" : "streams")\n")
  }

  /// The daemon does not start without a token file that it can use.
  private func tokenFailures(_ configuration: DaemonConfiguration) -> [ConfigurationError] {
    guard let path = configuration.control.tokenFile, !configuration.control.listen.isEmpty else {
      return []
    }
    do {
      try ControlServer.checkToken(path)
      return []
    } catch {
      let place = configuration.places.tokenFile
      // A path that a variable gave may be secret.
      let message = place.written.map { "cannot use the file that \($0) names" } ?? "\(error)"
      return [place.error(message)]
    }
  }
}
