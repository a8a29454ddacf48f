internal import Configuration
internal import Connectors
internal import Dataflow
internal import Stream

/// The settings of commands that a configuration file does not have.
enum CommandSettings {
  static let files = SettingGroup(
    "Files", [output, checkpointIn, checkpointOut, deadLetters, resume])
  static let running = SettingGroup("Running", [threads, jsonSummary, DaemonSettings.logFormat])

  static let output = Setting(
    nil, .output(.shellPath), default: "-", option: .value("output", "path", short: "o"),
    help:
      "Where the output goes; `-` is stdout. A file is compressed if its name ends in `.zst`, and so is a pipe."
  )

  static let checkpointIn = Setting(
    nil, .shellPath, option: .value("checkpoint-in", "file"), help: "The checkpoint to start from.")

  static let checkpointOut = Setting(
    nil, .fileOnly, option: .value("checkpoint-out", "file"),
    help: "Where the checkpoint of the end goes.")

  static let deadLetters = Setting(
    nil, .shellPath, option: .value("dead-letters", "file"),
    help: "With `--on-bad-record dead_letter`: the file for bad records (NDJSON).")

  static let resume = Setting(
    nil, .shellPath, option: .value("resume", "directory"),
    help: "Keep the state in this directory. If the run is killed, the next one resumes it exactly."
  )

  static let threads = Setting(
    nil, .integer(in: 1...mostThreads), default: min(StageThreads.usableProcessors, mostThreads),
    option: .value("threads", "n"), help: "How many units are encoded in parallel.")

  static let jsonSummary = Setting(
    nil, .bool, default: false, option: .flag("json-summary"),
    help: "Print a summary of the run as one JSON object on stderr.")

  private static let mostThreads = 256

  /// The zstd level of an output; nil if it is not compressed.
  static func outputLevel(_ values: SettingValues) -> Int? {
    let path = values[output]
    return OutputSettings.level(
      values,
      compressed: path == "-" ? isStandardOutputCompressed() : OutputName.isCompressed(path))
  }
}

extension SettingType<String> {
  /// A path that is no `-`, for a file that cannot go where the output goes.
  fileprivate static let fileOnly = SettingType(
    expected: "a file", text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      guard text != "-" else { throw SettingRefusal(hint: "the output goes to stdout") }
      return try shellPath.parse([text])
    })
}
