internal import ArgumentParser
internal import BatchNormalization
internal import Configuration
internal import Storage
internal import Stream

/// `evenkeel import`: makes a checkpoint from another tool's state.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Makes a checkpoint from another tool's state.",
    discussion: """
      pytorch: a safetensors file with running_mean and running_var, and weight, bias and \
      num_batches_tracked if they are there.
      json: what export --to json wrote, or features, mean, variance and count of another tool.
      """)

  @Argument(help: "The file to read.")
  var file: String

  @Option(help: "pytorch or json.")
  var from: String

  @Option(name: [.short, .long], help: "The checkpoint to write, or - for stdout.")
  var output: String

  @Option(
    help: "The names of the features, in order; else those in the file, or f0, f1, ….")
  var features: String?

  @Option(help: "pytorch: the prefix of the tensors' names, such as 'bn1.'.")
  var prefix = ""

  @Option(
    help: ArgumentHelp(
      "Values in a batch, for half-lives and cumulative totals.", valueName: "n"))
  var valuesPerBatch = 0

  @Option(help: ArgumentHelp("ε of the module, which its state lacks.", valueName: "e"))
  var epsilon: Double?

  func run() throws {
    guard let format = BuiltInImports.named(from) else {
      throw unknownFormat("--from", from, BuiltInImports.all.map(\.name))
    }
    var options = ImportOptions(groups: StateReading.ofOperators.groups)
    options.features = features.map(listElements)
    options.prefix = prefix
    options.valuesPerBatch = valuesPerBatch
    options.epsilon = epsilon
    do {
      let checkpoint = try format.read(file, options: options)
      do throws(NormalizationError) {
        try NormalizerColumns(in: checkpoint.state).requireSizes(checkpoint.state)
      } catch {
        throw CommandFailure("\(file): \(error)", exitCode: 65)
      }
      try writeOutput(
        output, besides: [file], bytes: { try checkpoint.serialized() },
        file: { try CheckpointFile.write(checkpoint, to: output) })
    } catch {
      throw CommandFailure(error)
    }
  }
}
