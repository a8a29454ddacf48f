internal import Configuration
internal import Dataflow
internal import Glibc
internal import Stream

/// The settings of commands that a configuration file does not have.
enum CommandSettings {
  static let files = SettingGroup(
    "Files", [output, checkpointIn, checkpointOut, deadLetters, resume])
  static let running = SettingGroup("Running", [threads, jsonSummary, DaemonSettings.logFormat])

  static let output = Setting(
    nil, .shellPath, default: "-", option: .value("output", "path", short: "o"),
    help:
      "The output file; `-` is stdout. The output is compressed if the name ends in `.zst`, or if it "
      + "is stdout and stdout is no terminal.")

  static let checkpointIn = Setting(
    nil, .shellPath, option: .value("checkpoint-in", "file"), help: "The checkpoint to start from.")

  static let checkpointOut = Setting(
    nil, .shellPath, option: .value("checkpoint-out", "file"),
    help: "The file for the checkpoint at the end.")

  static let deadLetters = Setting(
    nil, .shellPath, option: .value("dead-letters", "file"),
    help: "With `--on-bad-record dead_letter`: the file for bad records (NDJSON).")

  static let resume = Setting(
    nil, .shellPath, option: .value("resume", "directory"),
    help: "Keep the state in this directory. If the run is killed, the next one resumes it exactly."
  )

  static let noCompress = Setting(
    nil, .bool, default: false, option: .flag("no-compress"), help: "Write stdout uncompressed.")

  static let threads = Setting(
    nil, .integer(in: 1...mostThreads), default: min(StageThreads.usableProcessors, mostThreads),
    option: .value("threads", "n"), help: "How many units are encoded in parallel.")

  static let jsonSummary = Setting(
    nil, .bool, default: false, option: .flag("json-summary"),
    help: "Print a summary of the run as one JSON object on stderr.")

  private static let mostThreads = 256

  /// The zstd level of an output; nil if it is not compressed.
  static func outputLevel(_ values: SettingValues) -> Int? {
    let (output, level) = (values[output], values[OutputSettings.level])
    if output.hasSuffix(".zst") { return level }
    let isCompressed = output == "-" && !values[noCompress] && isatty(STDOUT_FILENO) == 0
    return isCompressed ? level : nil
  }
}
