internal import ArgumentParser
internal import Configuration
internal import Stream

/// `evenkeel fit`: learns the state of a stream and writes a checkpoint, but no output.
struct Fit: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit",
    abstract: "Learns the moments of INPUT, and writes a checkpoint but no output.",
    usage: "evenkeel fit [<options>] --output <checkpoint> [<input> ...]",
    discussion: """
      Several files are one stream. `normalize --checkpoint-in` applies the checkpoint; with --frozen, without \
      further updates. --momentum cumulative --estimator total gives every value the same weight.
      """)

  private static let files = SettingGroup("Files", [checkpoint, CommandSettings.checkpointIn])

  private static let checkpoint = Setting(
    nil, .shellPath, isRequired: true, option: .value("output", "checkpoint", short: "o"),
    help: "The checkpoint to write.")

  static let settings = [files] + Catalogue.builtIn.inputSettings + [CommandSettings.running]

  @Argument(help: "Paths, or - for stdin.")
  var inputs: [String] = []

  func run(_ given: CommandLineSettings) throws {
    var logFormat = LogFormat.text
    do {
      logFormat = try given.read([CommandSettings.running])[DaemonSettings.logFormat]
      let input = try CommandInput(inputs)
      var (configuration, values) = try input.configuration(
        given, to: nil, besides: [Self.files, CommandSettings.running])
      configuration.compressionLevel = nil
      var files = input.files(output: nil)
      files.values = values
      files.checkpointIn = values[CommandSettings.checkpointIn]
      files.checkpointOut = values[Self.checkpoint]
      files.parameters = values[StateSettings.parameters]
      try checkApart(inputs: input.paths, outputs: [("--output", files.checkpointOut)])
      try NormalizeRun(
        configuration, files: files, threads: values[CommandSettings.threads],
        writesSummary: values[CommandSettings.jsonSummary], logFormat: logFormat
      ).run()
    } catch {
      throw CommandFailure(error, format: logFormat)
    }
  }
}
