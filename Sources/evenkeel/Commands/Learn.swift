internal import ArgumentParser
internal import FoundationEssentials
internal import Storage
internal import Stream

/// `evenkeel learn`: applies recorded gradients to a checkpoint.
struct Learn: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "learn",
    abstract: "Applies recorded gradients to γ and β of a checkpoint, and writes another one.",
    discussion: """
      The gradients are lines of JSON, as those of parameters.learn.gradients. Each is one step of the optimizer that \
      parameters.learn of the stream sets, against the γ and β in force; version and after_batch are not looked at. A \
      line that cannot be used ends the command with exit code 65, and nothing is written.
      """)

  @Argument(help: "The file of gradients.")
  var gradients: String

  @Option(help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
  var config: String

  @Option(help: ArgumentHelp("The stream; may be absent if there is one.", valueName: "name"))
  var stream: String?

  @Option(help: ArgumentHelp("The checkpoint to start from.", valueName: "file"))
  var checkpointIn: String

  @Option(name: [.short, .long], help: "The checkpoint to write.")
  var output: String

  @Option(help: ArgumentHelp("The first line to apply, from 1.", valueName: "n"))
  var firstLine = 1

  @Option(help: ArgumentHelp("The last line to apply (default: that of the file).", valueName: "n"))
  var lastLine: Int?

  func validate() throws {
    let last = lastLine ?? .max
    guard firstLine >= 1, last >= firstLine else {
      throw ValidationError(
        "expected lines from 1 on, the first not after the last, found \(firstLine) to \(last)")
    }
  }

  func run() throws {
    do {
      let fileSystem = POSIXFileSystem()
      let settings = try configuration()
      let start = try CheckpointFile.read(checkpointIn, settings.stateReading, in: fileSystem)
      var replay = try GradientReplay(start, settings)
      try replay.apply(firstLine...(lastLine ?? .max), of: gradients, in: fileSystem)
      let learned = replay.checkpoint
      try writeOutput(
        output, besides: [gradients, config, checkpointIn], bytes: { try learned.serialized() },
        file: { try CheckpointFile.write(learned, to: output) })
      guard output != "-" else { return }
      try writeToStandardOutput("\(replay.steps) step\(replay.steps == 1 ? "" : "s")\n")
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The configuration of the stream.
  private func configuration() throws -> StreamConfiguration {
    let environment = ProcessInfo.processInfo.environment
    let read = try DaemonConfiguration.load(config) { environment[$0] }
    let names = read.streams.map(\.name)
    let found = read.streams.first { stream == nil ? names.count == 1 : $0.name == stream }
    guard let found else {
      throw CommandFailure(
        "\(config): expected --stream with one of \(names.joined(separator: ", ")), found "
          + (stream.map { "'\($0)'" } ?? "nothing"), exitCode: 64)
    }
    return found.stream
  }
}
