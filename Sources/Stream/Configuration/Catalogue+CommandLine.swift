package import Codecs
package import Configuration
internal import Connectors
internal import Operators

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
    if let output { suggestFormat(of: values[output], &values) }
    let written = values[outputFormat].flatMap { formats.named($0) } ?? format
    if written.name != format.name {
      values.merge(try given.read([written.settings], requiring: false))
    }
    try checkUse(of: given, reading: format, writing: written)
    let path = output.map { values[$0] }
    suggest(by: input, path, of: format, &values)
    let source = sources.first { $0.locate(input, values) != nil }
    values.suggest(NormalizeSettings.messageTimes, source?.splits == .partitions)
    try given.check(common + [format.settings, written.settings], values)
    var found = violations(of: format, in: values)
    if let output {
      if path == "-", let setting = written.needsFile(values) {
        found.append(
          SettingViolation(
            setting, expected: .value("a file as --output beside it, or stream"), found: "stdout"))
      }
      found += contradictions(of: path == "-" ? nil : path, by: output, format, values)
    }
    if let violation = found.first { throw CommandLineError(violation) }
    return (format, values)
  }

  /// Refuses options of formats that are neither read nor written, and options that only reading needs, of a format
  /// that is only written.
  private func checkUse(
    of given: CommandLineSettings, reading format: RecordFormat, writing written: RecordFormat
  ) throws(CommandLineError) {
    let used =
      format.settings.settings
      + written.settings.settings.filter {
        $0.effects.contains(.writing)
      }
    let names = Set(used.compactMap { $0.option?.name })
    for other in formats {
      for setting in other.settings.settings where given.gives(setting) {
        guard let option = setting.option, !names.contains(option.name) else { continue }
        throw CommandLineError(
          option: option.spelling, message: "expected input of \(other.name), found \(format.name)")
      }
    }
  }
}
