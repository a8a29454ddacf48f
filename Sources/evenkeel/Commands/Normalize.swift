internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Records
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
      if configuration.normalization.isInverse, !values.isGiven(RecordSettings.precision) {
        note(
          "\(configuration.name): --inverse "
            + (configuration.keepsWidths
              ? "writes features of Arrow with the width that they have"
              : "writes \(configuration.precision.rawValue); --precision sets it"),
          format: logFormat)
      }
      if let written = configuration.outputFormat, written.name != configuration.format.name,
        !values.isGiven(Self.catalogue.outputFormat)
      {
        note(
          "\(configuration.name): the output is \(written.name), as its name says; --output-format sets it",
          format: logFormat)
      }
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
    try checkApart(
      inputs: input.paths,
      outputs: [
        ("--output", files.output), ("--checkpoint-out", files.checkpointOut),
        ("--dead-letters", files.deadLetters),
      ])
    return files
  }
}
