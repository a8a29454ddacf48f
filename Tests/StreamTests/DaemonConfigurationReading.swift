import Configuration
import TestSupport
import Testing

@testable import Stream

/// Reads a text as the configuration of the daemon, with the variables given.
func daemonConfiguration(
  _ text: String, _ variables: [String: String] = [:]
) throws -> DaemonConfiguration {
  let directory = try TemporaryDirectory()
  let path = try directory.write("evenkeel.yaml", text.utf8)
  return try DaemonConfiguration.load(path) { variables[$0] }
}

/// The errors of a text; empty if it is a valid configuration.
func configurationErrors(
  _ text: String, _ variables: [String: String] = [:]
) throws -> [ConfigurationError] {
  do {
    _ = try daemonConfiguration(text, variables)
    return []
  } catch let error as DaemonConfigurationError {
    guard case .wrong(let failure) = error else { throw error }
    return failure.errors
  }
}

/// The stream of a text that holds one.
func onlyStream(_ text: String, _ variables: [String: String] = [:]) throws -> StreamDefinition {
  try #require(try daemonConfiguration(text, variables).streams.first)
}

/// A configuration of one stream with more lines in its section; the first of them is line 6.
func oneStream(_ lines: String) -> String {
  """
  state_directory: /tmp/state
  streams:
    weather:
      source: { directory: { path: in } }
      sink: { file: { path: out } }

  """
    + lines.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }.joined()
}
