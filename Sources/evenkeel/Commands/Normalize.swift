internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Storage
internal import Stream

/// `evenkeel normalize`: one stream, no configuration file needed.
struct Normalize: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "normalize",
    abstract: "Normalises one stream from INPUT to OUTPUT.",
    usage: "evenkeel normalize [<options>] [<input>]",
    discussion: """
      Reads CSV, NDJSON or raw floats, zstd-compressed or not. Cuts the records into mini-batches, updates a \
      running mean and variance of each feature, and writes the stream with its features normalised. All other \
      bytes pass unchanged.
      """)

  private static let catalogue = Catalogue.builtIn
  /// The groups that are read for every format.
  private static let common =
    [CommandSettings.files] + catalogue.streamSettings
    + [SettingGroup("", [CommandSettings.noCompress]), CommandSettings.running]

  static let settings =
    [CommandSettings.files] + catalogue.commandLineSettings(output: [CommandSettings.noCompress])
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
    let catalogue = Self.catalogue
    var values = try given.read(Self.common)
    values.merge(try given.read(catalogue.connectorSettings, requiring: false))
    let format = try inputFormat(values)
    values.merge(try given.read([format.settings]))
    let output = values[catalogue.outputFormat].flatMap { catalogue.formats.named($0) } ?? format
    if output.name != format.name {
      values.merge(try given.read([output.settings], requiring: false))
    }
    try given.check(Self.common + [format.settings], values)
    if let violation = catalogue.violations(of: format, in: values).first {
      throw CommandLineError(violation)
    }
    let name = input == "-" ? "stdin" : input.split(separator: "/").last.map(String.init) ?? input
    var configuration = try StreamConfiguration(
      name: name, format: format, values, from: catalogue, in: POSIXFileSystem())
    configuration.compressionLevel = CommandSettings.outputLevel(values)
    return (configuration, values)
  }

  private func inputFormat(_ values: SettingValues) throws -> RecordFormat {
    let catalogue = Self.catalogue
    let named = values[catalogue.inputFormat].flatMap { catalogue.formats.named($0) }
    if let format = named ?? catalogue.formats.ofFile(named: input) { return format }
    throw CommandFailure(
      "\(input == "-" ? "stdin" : input): the name does not tell the format: pass --format "
        + catalogue.formats.map(\.name).joined(separator: "|"), exitCode: 64)
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
