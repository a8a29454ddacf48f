internal import Records
internal import Storage
internal import Stream

/// Writes the file of a command, or its bytes to stdout for `-`.
///
/// - Parameter inputs: the files that the command reads. The output must not replace one.
func writeOutput(
  _ output: String, option: String = "--output", besides inputs: [String],
  bytes: () throws -> [UInt8], file: () throws -> Void
) throws {
  guard output == "-" else {
    try checkApart(inputs: inputs, outputs: [(option, output)])
    do {
      return try file()
    } catch StorageError.file(let error) {
      throw StreamError.outputRefused(error)
    }
  }
  do {
    try writeToStandardOutput(try bytes())
  } catch let error as ContentError {
    throw StorageError.content(path: "stdout", error)
  }
}

/// Refuses outputs that would replace an input or each other. Devices and `-` are no files.
func checkApart(
  inputs: [String], outputs: [(option: String, path: String?)]
) throws {
  let fileSystem = POSIXFileSystem()
  var taken: [String: String] = [:]
  for path in inputs where path != "-" { taken[fileSystem.canonicalPath(path)] = "the input" }
  for (option, path) in outputs {
    guard let path, path != "-", !path.hasPrefix("/dev/") else { continue }
    let name = option == "--output" ? "the output" : option
    if let other = taken.updateValue(name, forKey: fileSystem.canonicalPath(path)) {
      throw CommandFailure(
        "\(option): expected a file of its own, found that of \(other): \(quoted(path))",
        exitCode: 64)
    }
  }
}
