internal import Configuration
internal import Records

extension RecordFormat {
  /// Apache Arrow IPC, as a stream or as a file (Feather). All columns that are no features pass unchanged.
  package static let arrow = RecordFormat(
    name: "arrow", fileExtensions: ["arrows", "arrow", "feather", "ipc"],
    settings: ArrowSettings.group, isText: false,
    suggest: { name, role, values in
      if role == .output {
        values.suggest(ArrowSettings.container, name == "arrows" ? .stream : .file)
      }
    },
    keptPrecision: { opening, values in
      let features = try? ArrowFeatures(of: opening, DecoderOptions(values).limits)
      return features?.fitsFloat == true ? .float32 : nil
    },
    check: { values, keepsFormat in
      guard keepsFormat, values.isGiven(RecordSettings.precision) else { return [] }
      return [
        SettingViolation(
          RecordSettings.precision,
          expected: .value("an output of another format, as features of Arrow keep their width"),
          found: "arrow")
      ]
    },
    recordEnds: { _, _, _ in .arrowMessages }, writesFields: true,
    scalars: { opening, values in try? ArrowScalars(of: opening, DecoderOptions(values).limits) },
    hasRecordBatches: true, hasSchema: true,
    needsFile: { $0[ArrowSettings.container] == .file ? ArrowSettings.container : nil },
    outputOptions: [RecordSettings.stamp, RecordSettings.columns, RecordSettings.dictionaries],
    checkOutput: { values, input in
      guard values[RecordSettings.dictionaries] else { return [] }
      if input.fields == nil {
        return [
          SettingViolation(
            RecordSettings.dictionaries, expected: .value("input with columns of text"),
            found: input.name)
        ]
      }
      guard values[ArrowSettings.container] == .file else { return [] }
      return [
        SettingViolation(
          RecordSettings.dictionaries,
          expected: .value("an Arrow stream (.arrows), as a file has one dictionary a column"),
          found: "a file")
      ]
    },
    makeDecoder: { options throws(FormatError) in ArrowDecoder(options) },
    makeEncoder: { options throws(FormatError) in try ArrowEncoder(options) })
}
