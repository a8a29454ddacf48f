package import Codecs
package import Configuration
internal import Connectors

extension Catalogue {
  /// The settings of a stream and of its formats, as the help of a command lists them.
  package var commandLineSettings: [SettingGroup] {
    streamSettings.flatMap { group -> [SettingGroup] in
      switch group.title {
      case RecordSettings.records.title: [group] + formats.map(\.settings)
      default: [group]
      }
    }
  }

  /// The settings of a command that writes no output.
  package var inputSettings: [SettingGroup] {
    commandLineSettings.filter { $0.title != Self.outputTitle }
  }

  /// Reads the settings of one stream that a command line gives: those of the stream, of its connectors and
  /// of its formats.
  ///
  /// - Parameters:
  ///   - input: the path of the input, whose name may tell the format.
  ///   - output: the path of the output, whose name may tell settings of its format.
  ///   - own: groups of the command's own.
  package func settings(
    of input: String, to output: Setting<String>? = nil, in given: CommandLineSettings,
    besides own: [SettingGroup] = []
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
    let written = values[outputFormat].flatMap { formats.named($0) } ?? format
    if written.name != format.name {
      values.merge(try given.read([written.settings], requiring: false))
    }
    suggest(by: input, output.map { values[$0] }, of: format, &values)
    try given.check(common + [format.settings, written.settings], values)
    if let violation = violations(of: format, in: values).first {
      throw CommandLineError(violation)
    }
    return (format, values)
  }
}
