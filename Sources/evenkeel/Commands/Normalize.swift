internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Records
internal import Stream

/// `evenkeel normalize`: one stream, no configuration file needed.
struct Normalize: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "normalize",
    abstract: "Normalises one stream from INPUT to OUTPUT.",
    discussion: """
      Reads CSV, NDJSON or raw floats, zstd-compressed or not, cuts mini-batches, updates a running \
      mean and variance per feature, and writes the stream with its features normalised; all else \
      passes byte for byte.
      """)

  static let settings = BuiltInFormats.all.map(\.settings)

  @Argument(help: "A path, or - for stdin.")
  var input = "-"

  @Option(
    name: [.short, .long],
    help: "A path, or - for stdout; compressed if it ends in .zst or if stdout is no terminal.")
  var output = "-"

  @OptionGroup(title: "Format")
  var format: FormatOptions
  @OptionGroup(title: "Normalisation")
  var normalization: NormalizationOptions
  @OptionGroup(title: "State")
  var state: StateOptions
  @OptionGroup(title: "Compression")
  var decompression: InputCompressionOptions
  @OptionGroup(title: "Compression")
  var compression: OutputCompressionOptions
  @OptionGroup(title: "Running")
  var running: RunOptions

  func run(_ given: CommandLineSettings) throws {
    do {
      let configuration = try streamConfiguration(given)
      try NormalizeRun(
        configuration, files: try streamFiles(), threads: running.threads,
        writesSummary: running.jsonSummary, logFormat: running.logFormat
      ).run()
    } catch {
      throw CommandFailure(error, format: running.logFormat)
    }
  }

  private func streamConfiguration(
    _ given: CommandLineSettings
  ) throws -> StreamConfiguration {
    let name = input == "-" ? "stdin" : input.split(separator: "/").last.map(String.init) ?? input
    var configuration = StreamConfiguration(name: name, format: try formatName())
    configuration.decoder = try format.decoderOptions()
    if let input = BuiltInFormats.named(configuration.format) {
      configuration.decoder.settings = try given.values(of: input.settings)
    }
    if let name = format.outputFormat, name != configuration.format,
      let output = BuiltInFormats.named(name)
    {
      configuration.decoder.settings.merge(try given.values(of: output.settings, requiring: false))
    }
    configuration.outputFormat = format.outputFormat
    configuration.precision = format.precision
    configuration.badRecords = format.onBadRecord
    configuration.batch.size = normalization.batchSize
    configuration.normalization = try normalization.settings()
    configuration.normalization.imputesMissing = format.onMissing == .impute
    configuration.decompression = try decompression.decompression()
    configuration.compressionLevel = compression.outputLevel(for: output)
    configuration.onMismatch = state.onMismatch
    if let violation = configuration.violations(given: normalization.given).first {
      throw CommandFailure(violation.onCommandLine, exitCode: 64)
    }
    return configuration
  }

  private func formatName() throws -> String {
    if let named = format.format { return named }
    if let found = BuiltInFormats.ofFile(named: input) { return found.name }
    throw CommandFailure(
      "\(input == "-" ? "stdin" : input): the name does not tell the format: pass --format "
        + BuiltInFormats.all.map(\.name).joined(separator: "|"), exitCode: 64)
  }

  private func streamFiles() throws -> StreamFiles {
    var files = StreamFiles(input: input, output: output)
    files.checkpointIn = state.checkpointIn
    files.checkpointOut = state.checkpointOut
    files.parameters = state.parameters
    files.deadLetters = format.deadLetters
    files.resume = state.resume
    files.schedule.everyBatches = state.checkpointEvery
    guard state.resume == nil || input != "-" && output != "-" else {
      throw CommandFailure("--resume needs an input and an output that are files", exitCode: 64)
    }
    guard (format.onBadRecord == .deadLetter) == (format.deadLetters != nil) else {
      throw CommandFailure(
        "--on-bad-record dead_letter and --dead-letters FILE go together", exitCode: 64)
    }
    return files
  }
}
