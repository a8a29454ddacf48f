internal import ArgumentParser
internal import Storage

/// `evenkeel export`: a checkpoint for other tools.
struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a checkpoint for other tools.",
    discussion: """
      pytorch: a safetensors file with the five tensors of BatchNorm1d.state_dict().
      folded: a safetensors file with scale and shift: y = scale · x + shift.
      json: everything, readable; import takes it back.
      """)

  @Argument(help: "A checkpoint.")
  var checkpoint: String

  @Option(help: "pytorch, folded or json.")
  var to: String

  @Option(name: [.short, .long], help: "The file to write.")
  var output: String

  func run() throws {
    guard let format = BuiltInExports.named(to) else {
      throw unknownFormat("--to", to, BuiltInExports.all.map(\.name))
    }
    do {
      try format.write(try CheckpointFile.read(checkpoint), to: output)
    } catch {
      throw CommandFailure(error)
    }
  }
}

/// `evenkeel import`: a checkpoint out of another tool's state.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a checkpoint from another tool's state.",
    discussion: """
      pytorch: a safetensors file with running_mean and running_var, and weight, bias and \
      num_batches_tracked where there are such.
      json: what export --to json wrote.
      """)

  @Argument(help: "The file to read.")
  var file: String

  @Option(help: "pytorch or json.")
  var from: String

  @Option(name: [.short, .long], help: "The checkpoint to write.")
  var output: String

  @Option(help: "pytorch: the names of the features, in order; else those in the file, or f0, f1, ….")
  var features: String?

  @Option(help: "pytorch: what stands before the tensors' names, such as 'bn1.'.")
  var prefix = ""

  @Option(
    help: ArgumentHelp(
      "pytorch: values in a batch, for half-lives and cumulative totals.", valueName: "n"))
  var valuesPerBatch = 0

  func run() throws {
    guard let format = BuiltInImports.named(from) else {
      throw unknownFormat("--from", from, BuiltInImports.all.map(\.name))
    }
    var options = ImportOptions()
    options.features = features.map { commaSeparated($0) }
    options.prefix = prefix
    options.valuesPerBatch = valuesPerBatch
    do {
      try CheckpointFile.write(try format.read(file, options: options), to: output)
    } catch {
      throw CommandFailure(error)
    }
  }
}

private func unknownFormat(_ option: String, _ found: String, _ known: [String]) -> CommandFailure {
  CommandFailure(
    "\(option): expected one of \(known.joined(separator: ", ")), found '\(found)'", exitCode: 64)
}
