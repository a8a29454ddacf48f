package import Codecs
package import Configuration
internal import Connectors

extension Catalogue {
  /// The settings of a stream and of its formats, as the help of a command lists them.
  ///
  /// - Parameter output: settings of the output that the command has besides.
  package func commandLineSettings(output: [any SettingDescription]) -> [SettingGroup] {
    streamSettings.flatMap { group -> [SettingGroup] in
      switch group.title {
      case RecordSettings.records.title: [group] + formats.map(\.settings)
      case Self.outputTitle: [SettingGroup(group.title, group.settings + output)]
      default: [group]
      }
    }
  }

  /// Reads the settings of one stream that a command line gives: those of the stream, of its connectors and
  /// of its formats.
  ///
  /// - Parameters:
  ///   - input: the path of the input, whose name may tell the format.
  ///   - own: groups of the command's own.
  package func settings(
    of input: String, in given: CommandLineSettings, besides own: [SettingGroup] = []
  ) throws(CommandLineError) -> (format: RecordFormat, values: SettingValues) {
    let common = own + streamSettings
    var values = try given.read(common)
    values.merge(try given.read(connectorSettings, requiring: false))
    let named = values[inputFormat].flatMap { formats.named($0) }
    guard let format = named ?? formats.ofFile(named: input) else {
      throw CommandLineError(
        option: input == "-" ? "stdin" : input,
        message: "the name does not tell the format: pass --format "
          + formats.map(\.name).joined(separator: "|"))
    }
    values.merge(try given.read([format.settings]))
    let output = values[outputFormat].flatMap { formats.named($0) } ?? format
    if output.name != format.name {
      values.merge(try given.read([output.settings], requiring: false))
    }
    try given.check(common + [format.settings], values)
    if let violation = violations(of: format, in: values).first {
      throw CommandLineError(violation)
    }
    return (format, values)
  }
}
