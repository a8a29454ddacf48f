internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Storage
internal import Stream

/// `evenkeel normalize`: normalises one stream, without a configuration file.
struct Normalize: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "normalize",
    abstract: "Normalises one stream from INPUT to OUTPUT.",
    usage: "evenkeel normalize [<options>] [<input>]",
    discussion: """
      Reads records (\(catalogue.formats.map(\.name).joined(separator: ", "))), compressed \
      (\(BuiltInCodecs.all.map { $0.name }.joined(separator: ", "))) or not. Cuts the records into \
      mini-batches, updates a running mean and variance of each feature, and writes the stream with its \
      features normalised. All other bytes pass unchanged.
      """)

  private static let catalogue = Catalogue.builtIn
  /// The groups of settings that only the command has.
  private static let own = [CommandSettings.files, CommandSettings.running]

  static let settings =
    [CommandSettings.files] + catalogue.commandLineSettings
    + catalogue.connectorSettings + [CommandSettings.running]

  @Argument(help: "A path, or - for stdin.")
  var input = "-"

  func run(_ given: CommandLineSettings) throws {
    var logFormat = LogFormat.text
    do {
      logFormat = try given.read([CommandSettings.running])[DaemonSettings.logFormat]
      let (configuration, values) = try streamConfiguration(given)
      try NormalizeRun(
        configuration, files: try streamFiles(values), threads: values[CommandSettings.threads],
        writesSummary: values[CommandSettings.jsonSummary], logFormat: logFormat
      ).run()
    } catch {
      throw CommandFailure(error, format: logFormat)
    }
  }

  private func streamConfiguration(
    _ given: CommandLineSettings
  ) throws -> (StreamConfiguration, SettingValues) {
    let (format, values) = try Self.catalogue.settings(
      of: input, to: CommandSettings.output, in: given, besides: Self.own)
    let name = input == "-" ? "stdin" : input.split(separator: "/").last.map(String.init) ?? input
    var configuration = try StreamConfiguration(
      name: name, format: format, values, from: Self.catalogue, in: POSIXFileSystem())
    configuration.compressionLevel = CommandSettings.outputLevel(values)
    configuration.cutsByTime = values.isGiven(BatchSettings.maxDelay)
    return (configuration, values)
  }

  private func streamFiles(_ values: SettingValues) throws -> StreamFiles {
    var files = StreamFiles(input: input, output: values[CommandSettings.output])
    files.values = values
    files.checkpointIn = values[CommandSettings.checkpointIn]
    files.checkpointOut = values[CommandSettings.checkpointOut]
    files.parameters = values[StateSettings.parameters]
    files.deadLetters = values[CommandSettings.deadLetters]
    files.resume = values[CommandSettings.resume]
    files.schedule.everyBatches = values[StateSettings.everyBatches]
    guard files.resume == nil || input != "-" && files.output != "-" else {
      throw CommandFailure("--resume needs an input and an output that are files", exitCode: 64)
    }
    let keepsLetters = values[BadRecordSettings.onBadRecord] == .deadLetter
    guard keepsLetters == (files.deadLetters != nil) else {
      throw CommandFailure(
        "--on-bad-record dead_letter and --dead-letters FILE go together", exitCode: 64)
    }
    return files
  }
}
