package import Codecs
package import Configuration
internal import Connectors

extension Catalogue {
  /// The reasons why a file of output must not have its name: it tells another format, delimiter, width, container or
  /// compression than the file would hold. A setting that the user gives goes before the name of a text, and an output
  /// format before any.
  ///
  /// - Parameters:
  ///   - path: the path of the output; nil if it is no file.
  ///   - setting: the setting that gives it.
  ///   - format: the format of the input.
  package func contradictions(
    of path: String?, by setting: any SettingDescription, _ format: RecordFormat,
    _ values: SettingValues
  ) -> [SettingViolation] {
    guard let path else { return [] }
    let written = values[outputFormat].flatMap { formats.named($0) } ?? format
    var found: [SettingViolation] = []
    if OutputName.isCompressed(path), values[OutputSettings.compression] == "off" {
      found.append(
        SettingViolation(
          setting, expected: .value("a name without .zst for output that is not compressed"),
          found: "one with it"))
    }
    if values[outputFormat] == nil, let told = formats.certain(ofFileNamed: path),
      told.name != written.name
    {
      found.append(
        SettingViolation(
          setting, expected: .other(outputFormat, is: told.name),
          found: "\(written.name), which the name of the file contradicts"))
    }
    if written.needsFile(values) != nil,
      OutputSettings.level(values, compressed: OutputName.isCompressed(path)) != nil
    {
      found.append(
        SettingViolation(
          setting,
          expected: .value(
            "a name without .zst and no compression, as the footer of the file lists places in it; a stream "
              + "(.arrows.zst) may be compressed"), found: "compression"))
    }
    // By the name of another file, readers know how to read it.
    var named = SettingValues()
    if !written.isText { written.suggest(by: path, .output, &named) }
    for other in named.set where values.isGiven(other) {
      guard let told = other.text(in: named), let given = other.text(in: values), told != given
      else { continue }
      found.append(
        SettingViolation(
          setting, expected: .other(other, is: told),
          found: "\(given), which the name of the file contradicts"))
    }
    // Text that passes keeps its delimiter, whatever the name says.
    var suggested = values
    written.suggest(by: path, .output, &suggested)
    for other in written.settings.settings
    where other.effects.contains(.outputForm) && !values.isGiven(other) {
      guard let told = other.text(in: suggested), told != other.text(in: values) else { continue }
      found.append(
        SettingViolation(
          setting,
          expected: .value(
            "another name: the output keeps the \(other.key ?? "form") of the input"),
          found: "one that tells another"))
    }
    return found
  }
}
