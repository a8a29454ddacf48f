internal import Configuration
internal import ControlPlane
internal import FoundationEssentials
internal import Glibc
internal import Records
internal import Storage
internal import Stream

/// The reason why a command stops: its line on stderr and its exit code.
struct CommandFailure: Error {
  let message: String
  let exitCode: Int32
  var format = LogFormat.text
  /// Whether the message has several lines, each one printable.
  private var hasLines = false

  init(_ message: String, exitCode: Int32) {
    self.message = message
    self.exitCode = exitCode
  }

  init(_ error: any Error, format: LogFormat = .text) {
    switch error {
    case let error as StreamError: self.init("\(error)", exitCode: error.exitCode)
    case let error as StorageError: self.init(StreamError(error))
    case let error as DaemonConfigurationError:
      self.init("\(error)", exitCode: error.exitCode)
      hasLines = true
    case let error as CommandLineError: self.init("\(error)", exitCode: 64)
    case let error as CommandFailure: self = error
    case let error as ControlError: self.init("\(error)", exitCode: error.exitCode)
    default: self.init("\(error)", exitCode: 70)
    }
    self.format = format
  }

  func report() {
    let text = printable(message, keepsLines: hasLines)
    say(text, LogLine(level: "error", message: message, exitCode: exitCode), format)
  }
}

/// Warns on stderr. The command continues.
func warn(_ message: String, format: LogFormat) {
  say("warning: " + printable(message), LogLine(level: "warning", message: message), format)
}

/// Tells the user something on stderr that is not amiss.
func note(_ message: String, format: LogFormat) {
  say(printable(message), LogLine(level: "info", message: message), format)
}

private func say(_ text: String, _ line: LogLine, _ format: LogFormat) {
  switch format {
  case .text: writeToStandardError("evenkeel: \(text)\n")
  case .json: writeToStandardError(jsonText(line) + "\n")
  }
}

/// A message as JSON.
private struct LogLine: Encodable {
  var level: String
  var message: String
  var exitCode: Int32?
}

/// One line of JSON, with sorted keys in snake case.
func jsonText(_ value: some Encodable) -> String {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  // Only strings and finite numbers come here, and these can always be encoded.
  return (try? encoder.encode(value)).map {
    String(decoding: printable(json: Array($0)), as: UTF8.self)
  } ?? "{}"
}

func writeToStandardError(_ text: String) {
  // If stderr is closed, nobody can read the message.
  try? POSIXFile.standardError().write(Array(text.utf8))
}

func writeToStandardOutput(_ text: String) throws {
  try writeToStandardOutput(Array(text.utf8))
}

func writeToStandardOutput(_ bytes: [UInt8]) throws {
  do {
    try POSIXFile.standardOutput().write(bytes)
  } catch {
    throw StreamError.inputOutput(error)
  }
}
