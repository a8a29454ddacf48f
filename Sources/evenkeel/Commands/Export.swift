internal import ArgumentParser
internal import Storage
internal import Stream

/// `evenkeel export`: writes a checkpoint for other tools.
struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a checkpoint for other tools.",
    discussion: """
      pytorch: a safetensors file with the five tensors of BatchNorm1d.state_dict().
      folded: a safetensors file with scale and shift: y = scale · x + shift.
      json: everything, readable for people; import reads it.
      """)

  @Argument(help: "A checkpoint, or kafka://HOST:PORT/STATE-TOPIC/PARTITION.")
  var checkpoint: String

  @Option(help: "pytorch, folded or json.")
  var to: String

  @Option(name: [.short, .long], help: "The file to write, or - for stdout.")
  var output: String

  func run() throws {
    guard let format = BuiltInExports.named(to) else {
      throw unknownFormat("--to", to, BuiltInExports.all.map(\.name))
    }
    do {
      let state = try StateLocation.read(checkpoint, .toShow)
      if let leftOut = format.leftOut(of: state) {
        note(
          "\(checkpoint): \(format.name) has one mean and variance a feature: those of \(leftOut) are left out, "
            + "json has them", format: .text)
      }
      try writeOutput(
        output, besides: [checkpoint], bytes: { try format.bytes(of: state) },
        file: { try format.write(state, to: output) })
    } catch {
      throw CommandFailure(error)
    }
  }
}

/// Refuses a name that no format has.
func unknownFormat(_ option: String, _ found: String, _ known: [String]) -> CommandFailure {
  CommandFailure(
    "\(option): expected one of \(known.joined(separator: ", ")), found '\(found)'", exitCode: 64)
}
