internal import ArgumentParser
internal import FoundationEssentials
internal import Records
internal import Stream

/// `evenkeel test`: runs the tests of streams that a configuration file holds.
struct Test: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Runs the tests of streams in a configuration file.",
    discussion: """
      Each test gives its input to a stream with the settings and operators of the file, in place of source and \
      sink, and compares the results with the expected ones. One line for each test tells whether it passed. The \
      exit code is 0 if all tests pass, 65 if one fails, and 78 if the file is wrong or holds no test.
      """)

  @Option(help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
  var config: String

  @Option(
    help: ArgumentHelp(
      "A file with further tests of its streams, in a section tests.", valueName: "file"))
  var tests: String?

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    var configuration: DaemonConfiguration
    do throws(DaemonConfigurationError) {
      configuration = try DaemonConfiguration.load(config) { environment[$0] }
      if let tests { try configuration.addTests(of: tests) { environment[$0] } }
    } catch {
      throw CommandFailure(error)
    }
    guard !configuration.tests.isEmpty else {
      throw CommandFailure(
        "\(tests ?? config): expected tests in the section tests, found none", exitCode: 78)
    }
    var failed = 0
    for test in configuration.tests {
      let differences = test.differences()
      if !differences.isEmpty { failed += 1 }
      let line =
        differences.isEmpty
        ? "ok \(test.name)" : "FAILED \(test.name): \(differences.joined(separator: "; "))"
      try writeToStandardOutput(printable(line) + "\n")
    }
    try writeToStandardOutput("\(configuration.tests.count - failed) passed, \(failed) failed\n")
    guard failed == 0 else { throw ExitCode(65) }
  }
}
