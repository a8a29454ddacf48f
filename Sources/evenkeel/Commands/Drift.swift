internal import ArgumentParser
internal import Configuration
internal import Operators
internal import Records
internal import Stream

/// `evenkeel drift`: tells which features of files have drifted.
struct Drift: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "drift",
    abstract: "Tells which features of INPUT drift, by a checkpoint or by its own beginning.",
    usage: "evenkeel drift [<options>] [<input> ...]",
    discussion: """
      Several files are one stream. A checkpoint that `fit --drift on` wrote judges from the first batch on. With other \
      checkpoints and without one, the first 100 batches are only learned from. The exit code is 0 if no feature drifts, 3 \
      if one does, and 65 if the input is too short to tell.
      """)

  private static let files = SettingGroup(
    "Drift", [reference, follow, falseAlarms, distribution, report, json])

  private static let reference = Setting(
    nil, .shellPath, defaultText: "the first 1,000 batches",
    option: .value("reference", "checkpoint"), help: "The checkpoint to compare with.")
  private static let follow = Setting(
    nil, .bool, default: false,
    option: .flag("follow", help: "Compare with moments of the input that follow slowly."),
    help: "Whether to compare with moments of the input that follow slowly.")
  private static let falseAlarms = Setting(
    nil, DriftSettings.falseAlarmType, default: .perSeconds(30 * 86_400),
    option: .value("false-alarms", "rate"),
    help: "How often input that does not drift may alarm. A time counts one batch a second.")
  private static let distribution = Setting(
    nil, .bool, default: false,
    option: .flag("distribution", help: "Also watch the distribution of values, in 16 bins."),
    help: "Whether to watch the distribution of values too, in 16 bins.")
  private static let report = Setting(
    nil, reportType, option: .value("report", "file"),
    help: "A report with small plots, as HTML or Markdown by the name: `.html` or `.md`.")
  private static let json = Setting(
    nil, .bool, default: false, option: .flag("json"), help: "Print the result as one JSON object.")

  private static let reportType = SettingType<String>(
    expected: "a file whose name ends in .html or .md", text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      guard text.hasSuffix(".html") || text.hasSuffix(".md") else { throw SettingRefusal() }
      return text
    })

  static let settings =
    [files] + Catalogue.builtIn.inputSettings.filter { $0.title != DriftSettings.group.title }
    + [SettingGroup("Running", [CommandSettings.threads, DaemonSettings.logFormat])]

  /// The exit code if a feature drifts.
  private static let driftCode: Int32 = 3

  @Argument(help: "Paths, or - for stdin.")
  var inputs: [String] = []

  func run(_ given: CommandLineSettings) throws {
    var logFormat = LogFormat.text
    do {
      logFormat = try given.read(Self.settings.suffix(1))[DaemonSettings.logFormat]
      let input = try CommandInput(inputs)
      let own = [Self.files] + Self.settings.suffix(1)
      var (configuration, values) = try input.configuration(given, to: nil, besides: own)
      configuration.compressionLevel = nil
      values[DriftSettings.watch] = .on
      values[DriftSettings.actions] = [.metric]
      values[DriftSettings.falseAlarms] = values[Self.falseAlarms]
      values[DriftSettings.distribution] = values[Self.distribution]
      guard values[Self.reference] == nil || !values[Self.follow] else {
        throw CommandFailure("expected one of --reference and --follow, found both", exitCode: 64)
      }
      if let reference = values[Self.reference] {
        values[DriftSettings.referenceFile] = reference
        configuration.referenceFile = reference
      } else {
        values[DriftSettings.reference] = values[Self.follow] ? .slow : .start
      }
      configuration.operatorSettings = values
      var files = input.files(output: nil)
      files.values = values
      let trace = DriftTrace()
      configuration.onCut = { view in trace.note(view) }
      let run = NormalizeRun(
        configuration, files: files, threads: values[CommandSettings.threads],
        writesSummary: false, logFormat: logFormat)
      let snapshot = try run.run { event in trace.note(event) }
      let found = DriftReport(
        trace, snapshot.drift, input: input.paths,
        reference: values[Self.reference]
          ?? (values[Self.follow]
            ? "its own slow moments" : "its beginning, 1,000 batches at most"),
        falseAlarms: values[DriftSettings.falseAlarms].text)
      if let path = values[Self.report] {
        try DriftPages.write(found, to: path)
      }
      try writeToStandardOutput(values[Self.json] ? jsonText(found.json) + "\n" : found.text)
      guard found.isJudged else {
        throw CommandFailure(
          "\(found.name): expected a feature with 32 values or more and a spread that is known from more than 100 "
            + "batches of so many, found none in \(found.batches) batch\(found.batches == 1 ? "" : "es"); give more "
            + "records, or --reference a checkpoint that fit --drift on wrote",
          exitCode: 65)
      }
      if found.hasAlarms { throw ExitCode(Self.driftCode) }
    } catch let code as ExitCode {
      throw code
    } catch {
      throw CommandFailure(error, format: logFormat)
    }
  }
}
