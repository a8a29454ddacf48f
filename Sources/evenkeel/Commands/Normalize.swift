internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Glibc
internal import Records
internal import Storage
internal import Stream

/// `evenkeel normalize`: normalises one stream, without a configuration file.
struct Normalize: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "normalize",
    abstract: "Normalises one stream from INPUT to OUTPUT.",
    usage: "evenkeel normalize [<options>] [<input> ...]",
    discussion: """
      Reads records (\(catalogue.formats.map(\.name).joined(separator: ", "))), compressed \
      (\(BuiltInCodecs.all.map { $0.name }.joined(separator: ", "))) or not. Cuts the records into \
      mini-batches, updates a running mean and variance of each feature, and writes the stream with its \
      features normalised. All other bytes pass unchanged. Several files are one stream.
      """)

  private static let catalogue = Catalogue.builtIn
  /// The groups of settings that only the command has.
  private static let own = [CommandSettings.files, CommandSettings.running]

  static let settings =
    [CommandSettings.files] + catalogue.commandLineSettings
    + catalogue.connectorSettings + [CommandSettings.running]

  @Argument(help: "Paths, or - for stdin.")
  var inputs: [String] = []

  func run(_ given: CommandLineSettings) throws {
    var logFormat = LogFormat.text
    do {
      logFormat = try given.read([CommandSettings.running])[DaemonSettings.logFormat]
      let input = try CommandInput(inputs)
      var (configuration, values) = try input.configuration(
        given, to: CommandSettings.output, besides: Self.own)
      configuration.compressionLevel = CommandSettings.outputLevel(values)
      try NormalizeRun(
        configuration, files: try streamFiles(input, values),
        threads: values[CommandSettings.threads],
        writesSummary: values[CommandSettings.jsonSummary], logFormat: logFormat
      ).run()
    } catch {
      throw CommandFailure(error, format: logFormat)
    }
  }

  private func streamFiles(_ input: CommandInput, _ values: SettingValues) throws -> StreamFiles {
    var files = input.files(output: values[CommandSettings.output])
    files.values = values
    files.checkpointIn = values[CommandSettings.checkpointIn]
    files.checkpointOut = values[CommandSettings.checkpointOut]
    files.parameters = values[StateSettings.parameters]
    files.deadLetters = values[CommandSettings.deadLetters]
    files.resume = values[CommandSettings.resume]
    files.schedule.everyBatches = values[StateSettings.everyBatches]
    guard files.resume == nil || input.isOneFile && files.output != "-" else {
      throw CommandFailure("--resume needs one input and an output that are files", exitCode: 64)
    }
    let keepsLetters = values[BadRecordSettings.onBadRecord] == .deadLetter
    guard keepsLetters == (files.deadLetters != nil) else {
      throw CommandFailure(
        "--on-bad-record dead_letter and --dead-letters FILE go together", exitCode: 64)
    }
    try Self.checkApart(input, files)
    return files
  }

  /// Refuses files that would replace the input, the output or each other.
  private static func checkApart(_ input: CommandInput, _ files: StreamFiles) throws {
    var taken: [String: String] = [:]
    for path in input.paths where path != "-" { taken[canonicalPath(path)] = "the input" }
    if files.output != "-" { taken[canonicalPath(files.output)] = "the output" }
    let others = [
      ("--checkpoint-out", files.checkpointOut), ("--dead-letters", files.deadLetters),
    ]
    for (option, path) in others {
      guard let path, !path.hasPrefix("/dev/") else { continue }
      if let other = taken.updateValue(option, forKey: canonicalPath(path)) {
        throw CommandFailure(
          "\(option): expected a file of its own, found that of \(other): \(quoted(path))",
          exitCode: 64)
      }
    }
  }
}

/// The path without symbolic links, as far as it exists.
private func canonicalPath(_ path: String) -> String {
  if let whole = realpath(path, nil) {
    defer { free(whole) }
    return String(cString: whole)
  }
  guard let directory = realpath(parentDirectory(of: path), nil) else { return path }
  defer { free(directory) }
  return String(cString: directory) + "/" + (path.split(separator: "/").last ?? "")
}
