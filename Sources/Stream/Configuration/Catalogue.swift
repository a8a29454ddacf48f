package import Codecs
package import Configuration
package import Connectors
package import Operators
internal import Records

/// The formats, connectors and operators that a stream can use, by name, and so all settings that it can have.
package struct Catalogue: Sendable {
  package let formats: [RecordFormat]
  package let sources: [SourceKind]
  package let sinks: [SinkKind]
  /// In the order in which they commit.
  package let operators: [any BatchOperator.Type]
  /// The format of the input, on the command line. A file has the section `format`.
  package let inputFormat: Setting<String?>
  /// The format of the output; nil for that of the input.
  package let outputFormat: Setting<String?>

  package static let builtIn = Catalogue(
    formats: BuiltInFormats.all, sources: BuiltInSources.all, sinks: BuiltInSinks.all,
    operators: BuiltInOperators.all)

  static let outputTitle = "Output"

  package init(
    formats: [RecordFormat], sources: [SourceKind], sinks: [SinkKind],
    operators: [any BatchOperator.Type]
  ) {
    self.formats = formats
    self.sources = sources
    self.sinks = sinks
    self.operators = operators
    let names = SettingType.word(of: formats.map(\.name))
    inputFormat = Setting(
      nil, names, defaultText: "by the file's name", option: .value("format", "name"),
      help: "The format of the input.")
    outputFormat = Setting(
      "output.format", names, defaultText: "that of the input",
      option: .value("output-format", "name"), effects: .outputForm,
      help:
        "The format of the output. If it differs from that of the input, the output contains only "
        + "the features; Arrow from CSV and NDJSON contains all columns, the others as text, and CSV and NDJSON "
        + "from Arrow contain the columns that have an obvious text. An output file named `.arrows`, `.arrow` or "
        + "`.feather` is Arrow.")
  }

  /// The settings of a stream, those of its source, sink and format aside.
  package var streamSettings: [SettingGroup] {
    [
      SettingGroup("Input", [inputFormat, InputSettings.dictionary]), RecordSettings.records,
      BadRecordSettings.group, BatchSettings.group,
    ] + operators.map { $0.declaration.settings } + [
      SettingGroup(
        Self.outputTitle,
        [
          outputFormat, RecordSettings.precision, RecordSettings.stamp, RecordSettings.columns,
          RecordSettings.dictionaries, OutputSettings.compression, OutputSettings.level,
        ], rules: OutputSettings.rules),
      StateSettings.group, TopicStateSettings.group, RestartSettings.group,
      SettingGroup(
        "Limits",
        RecordSettings.limits.settings + [
          InputSettings.window, InputSettings.growth, InputSettings.batchBytes,
          InputSettings.rateRecords, InputSettings.rateBytes,
        ]),
    ]
  }

  /// The settings of a stream with which it could not start.
  package func violations(
    of format: RecordFormat, in values: SettingValues
  ) -> [SettingViolation] {
    let output = values[outputFormat] ?? format.name
    let found =
      format.violations(in: values, keepsFormat: output == format.name)
      + unfit(format, formats.named(output) ?? format, values)
    guard found.isEmpty, let features = format.featureCount(values),
      case .records(let size) = values[BatchSettings.size]
    else { return found }
    let staysFloat =
      format.precision(values) == .float32 && values[RecordSettings.precision] == .float32
    let width = (staysFloat ? Precision.float32 : .float64).byteCount
    let limit = values[InputSettings.batchBytes]
    guard features * size > limit / width else { return [] }
    return [
      SettingViolation(
        BatchSettings.size,
        expected: .value("a batch of at most \(limit) bytes, as limits.batch_bytes says"),
        found: "one of \(features * size * width)")
    ]
  }

  /// The settings that ask a format for what it does not have.
  private func unfit(
    _ format: RecordFormat, _ written: RecordFormat, _ values: SettingValues
  ) -> [SettingViolation] {
    var found: [SettingViolation] = []
    if values[BatchSettings.size] == .recordBatch, !format.hasRecordBatches {
      found.append(
        SettingViolation(
          BatchSettings.size,
          expected: .value("a number of records, as \(format.name) has no record batches"),
          found: "record_batch"))
    }
    for option in formats.flatMap(\.outputOptions)
    where values.isGiven(option) && !written.has(option)
      && !found.contains(where: { $0.setting === option })
    {
      let others = formats.filter { $0.has(option) }.map(\.name)
      let names = others.dropLast().joined(separator: ", ")
      found.append(
        SettingViolation(
          option,
          expected: .value(
            "output of format " + (names.isEmpty ? "" : "\(names) or ") + (others.last ?? "")),
          found: written.name))
    }
    return found + written.checkOutput(values, format) + roleViolations(format, values)
  }

  /// The role columns that the user names as features too, and times that rows of numbers cannot have.
  private func roleViolations(
    _ format: RecordFormat, _ values: SettingValues
  ) -> [SettingViolation] {
    if format.name == RecordFormat.raw.name, values[NormalizeSettings.timeColumn] != nil,
      values[NormalizeSettings.timeFormat] == .iso8601
    {
      return [
        SettingViolation(
          NormalizeSettings.timeFormat,
          expected: .value("a number such as unix_s, since raw rows have no texts"),
          found: TimeFormat.iso8601.rawValue)
      ]
    }
    let features = (values[RecordSettings.features] ?? []).filter { !$0.isGlob }
    return NormalizeSettings.roles(values).filter { role in
      features.contains { areSame($0.text, role.name) }
    }.map { role in
      SettingViolation(
        NormalizeSettings.setting(of: role), expected: .value("a column that is no feature"),
        found: "\(quoted(role.name)), a feature")
    }
  }

  /// Sets what the inverse, and the names of the input and the output, tell of settings that the user did not set; nil
  /// is no file.
  package func suggest(
    by input: String?, _ output: String?, of format: RecordFormat, _ values: inout SettingValues
  ) {
    if let input { format.suggest(by: input, .input, &values) }
    if let output { suggestFormat(of: output, &values) }
    let written = values[outputFormat].flatMap { formats.named($0) } ?? format
    // x has more digits than y: a float32 of Unix seconds is off by a minute. With a schema, features keep their width.
    if values[NormalizeSettings.inverse], written.name != format.name || !format.hasSchema {
      values.suggest(RecordSettings.precision, .float64)
    }
    guard let output else { return }
    // Text that passes keeps the form of its input.
    if written.name != format.name || !format.isText {
      written.suggest(by: output, .output, &values)
    }
  }

  /// Sets the format of an output whose name tells one with a schema: no other format is meant by it.
  func suggestFormat(of output: String, _ values: inout SettingValues) {
    guard let told = formats.certain(ofFileNamed: output), told.hasSchema else { return }
    values.suggest(outputFormat, told.name)
  }

  /// The settings of sources and sinks that have options. Only a file can give the others.
  package var connectorSettings: [SettingGroup] {
    (sources.map(\.settings) + sinks.map(\.settings)).compactMap { group in
      let settings = group.settings.filter { $0.option != nil }
      return settings.isEmpty ? nil : SettingGroup(group.title, settings)
    }
  }
}

extension RecordFormat {
  /// Whether its output can have a setting that not every format has.
  fileprivate func has(_ option: any SettingDescription) -> Bool {
    outputOptions.contains { $0 === option }
  }
}
