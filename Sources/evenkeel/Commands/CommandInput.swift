internal import Codecs
internal import Configuration
internal import Operators
internal import Storage
internal import Stream

/// The input of a command: a path, `-` for standard input, or several files that are read as one stream.
struct CommandInput {
  let paths: [String]

  init(_ given: [String]) throws {
    paths = given.isEmpty ? ["-"] : given
    guard paths.count == 1 || !paths.contains("-") else {
      throw CommandFailure("expected files, found - (stdin) among several inputs", exitCode: 64)
    }
  }

  var isOneFile: Bool { paths.count == 1 && paths[0] != "-" }

  /// The stream in messages.
  private var name: String {
    guard let path = paths.first, paths.count == 1 else { return "\(paths.count) inputs" }
    return path == "-" ? "stdin" : path.split(separator: "/").last.map(String.init) ?? path
  }

  /// The configuration of the stream, and the values of all settings.
  func configuration(
    _ given: CommandLineSettings, to output: Setting<String>?, besides own: [SettingGroup]
  ) throws -> (StreamConfiguration, SettingValues) {
    let catalogue = Catalogue.builtIn
    let (format, values) = try catalogue.settings(
      of: paths[0], to: output, in: given, besides: own)
    // Time cuts the batches of files too, if the command line says so.
    var offered: Set<SettingNeed> = [.liveSource]
    if values[CommandSettings.resume] != nil { offered.formUnion([.stateDirectory, .checkpoint]) }
    if values[CommandSettings.checkpointIn] != nil
      || values[NormalizeSettings.priorCheckpoint] != nil
    {
      offered.insert(.checkpoint)
    }
    if let violation = values.unmetNeeds(
      of: catalogue.streamSettings, offered: offered, found: "none"
    ).first {
      throw CommandLineError(violation)
    }
    if values[catalogue.inputFormat] == nil {
      for path in paths.dropFirst() where catalogue.formats.ofFile(named: path)?.name != format.name
      {
        throw CommandFailure(
          "\(path): expected the format of the first input, \(format.name), found another by its name: "
            + "pass --format", exitCode: 64)
      }
    }
    var configuration = try StreamConfiguration(
      name: name, format: format, values, from: catalogue, in: POSIXFileSystem())
    try configuration.readPrior(in: POSIXFileSystem())
    configuration.cutsByTime = values.isGiven(BatchSettings.maxDelay)
    configuration.hasManyInputs = paths.count > 1
    return (configuration, values)
  }

  /// - Parameter output: `-` is standard output; nil is none.
  func files(output: String?) -> StreamFiles {
    var files = StreamFiles(input: paths[0], output: output ?? "-")
    files.moreInputs = Array(paths.dropFirst())
    files.discardsOutput = output == nil
    return files
  }
}
