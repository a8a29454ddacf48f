internal import ArgumentParser
internal import Storage
internal import Stream

/// `evenkeel import`: makes a checkpoint from another tool's state.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Makes a checkpoint from another tool's state.",
    discussion: """
      pytorch: a safetensors file with running_mean and running_var, and weight, bias and \
      num_batches_tracked if the file has them.
      json: a file that export --to json wrote.
      """)

  @Argument(help: "The file to read.")
  var file: String

  @Option(help: "pytorch or json.")
  var from: String

  @Option(name: [.short, .long], help: "The checkpoint to write.")
  var output: String

  @Option(
    help:
      "pytorch: the names of the features, in order. The default is those in the file, or f0, f1, …."
  )
  var features: String?

  @Option(help: "pytorch: the prefix of the tensors' names, such as 'bn1.'.")
  var prefix = ""

  @Option(
    help: ArgumentHelp(
      "pytorch: values in a batch, for half-lives and cumulative totals.", valueName: "n"))
  var valuesPerBatch = 0

  @Option(help: ArgumentHelp("pytorch: ε of the module, which its state lacks.", valueName: "e"))
  var epsilon: Double?

  func run() throws {
    guard let format = BuiltInImports.named(from) else {
      throw unknownFormat("--from", from, BuiltInImports.all.map(\.name))
    }
    var options = ImportOptions(groups: StateReading.ofOperators.groups)
    options.features = features?.split(separator: ",").map(String.init)
    options.prefix = prefix
    options.valuesPerBatch = valuesPerBatch
    options.epsilon = epsilon
    do {
      try CheckpointFile.write(try format.read(file, options: options), to: output)
    } catch {
      throw CommandFailure(error)
    }
  }
}
