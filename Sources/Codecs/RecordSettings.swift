package import Configuration
package import Records

/// The settings for reading and writing records that every format has.
package enum RecordSettings {
  package static let records = SettingGroup("Records", [features, exclude, onMissing, onInvalid])
  package static let limits = SettingGroup("Limits of a record", [recordBytes, fields, depth])

  package static let features = Setting(
    "features", featuresType, defaultText: "the columns that hold numbers, except ids and times",
    option: .value("features", "names"), optionType: featuresOptionType,
    help:
      "The features by name, with `*` and `?`; `!name` excludes a column. NDJSON takes dotted paths, "
      + "`engine.rpm`, and vectors, `embedding[*]` or, with their length, `embedding[0..127]`.")

  package static let exclude = Setting(
    "exclude", featuresType, option: .value("exclude", "names"), optionType: featuresOptionType,
    help: "Columns that are not features, by name, with `*` and `?`.")

  package static let onMissing = Setting<MissingPolicy>(
    "on_missing", .choice, default: .keep, option: .value("on-missing", "policy"),
    help:
      "A missing value stays missing (`keep`), becomes the mean (`impute`), or makes its record "
      + "a bad one (`reject`).")

  package static let onInvalid = Setting<InvalidPolicy>(
    "on_invalid", .choice, default: .reject, option: .value("on-invalid", "policy"),
    help:
      "An infinity, a number above 1e100 in size, or text that is no number, makes its record a bad "
      + "one (`reject`) or counts as `missing`.")

  package static let precision = Setting<Precision>(
    "output.precision", .choice, default: .float32, option: .value("precision", "width"),
    effects: .outputForm,
    help: "The width of the output's numbers: the shortest text that reads back as the same number "
      + "of that width, or raw floats. With `inverse` the default is `float64`.")

  package static let stamp = Setting(
    "output.stamp", .text(called: "a name"), option: .value("stamp", "name"), effects: .outputForm,
    help:
      "Tell in the output which versions of the state normalised each record: CSV gets the columns "
      + "`NAME.state_version` and `NAME.parameters_version`, and NDJSON a member NAME with both. Arrow has them in the "
      + "custom metadata of each record batch, under this name.")

  package static let columns = Setting(
    "output.columns", columnsType, defaultText: "all", option: .value("output-columns", "names"),
    optionType: columnsOptionType, effects: .outputForm,
    help:
      "The columns of the output, in its order, by name, with `*` and `?`; `!name` leaves one out. Features that are "
      + "left out are normalised all the same. NDJSON takes the members of the record.")

  package static let dictionaries = Setting(
    "output.dictionaries", .bool, default: false,
    option: .flag(
      "dictionaries",
      help: "Write text columns from CSV and NDJSON as dictionaries, in an Arrow stream."),
    effects: .outputForm,
    help:
      "Whether text columns from CSV and NDJSON are dictionary-encoded in an Arrow stream. Each record batch has "
      + "its own dictionaries.")

  package static let recordBytes = Setting(
    "limits.record_bytes", .size(in: DecoderLimits.recordByteRange),
    default: DecoderLimits().recordBytes, option: .value("max-record-bytes", "bytes"),
    optionType: .size(in: DecoderLimits.recordByteRange, plain: true),
    help: "The most bytes of a record.")

  package static let fields = Setting(
    "limits.fields", .integer(in: DecoderLimits.fieldRange), default: DecoderLimits().fields,
    option: .value("max-fields", "n"),
    help: "The most fields of a record, or members of its JSON objects.")

  package static let depth = Setting(
    "limits.depth", .integer(in: DecoderLimits.depthRange), default: DecoderLimits().depth,
    option: .value("max-depth", "n"), help: "The deepest nesting of JSON.")

  private static let featuresType = patterns("a list of texts", instead: "names, or omit the key")
  private static let featuresOptionType = patterns(
    "names separated by commas", instead: "names separated by commas, or no such option")
  private static let columnsType = patterns(
    "a list of texts", instead: "names, or omit the key", differ: true)
  private static let columnsOptionType = patterns(
    "names separated by commas", instead: "names separated by commas, or no such option",
    differ: true)

  /// A list of patterns, of which none is empty: a variable of a script that is empty by mistake must not choose.
  ///
  /// - Parameter differ: whether no two may be the same.
  private static func patterns(
    _ expected: String, instead: String, differ: Bool = false
  ) -> SettingType<[FeaturePattern]> {
    SettingType(
      expected: expected, form: .list, text: { listText($0.map(\.text)) },
      list: { (names) throws(SettingRefusal) in
        guard !names.isEmpty, !names.contains(where: { $0.isEmpty || $0 == "!" }) else {
          throw SettingRefusal(
            expected: instead, found: names.isEmpty ? "none" : "an empty one")
        }
        var known = Set<Name>()
        if differ, let second = names.first(where: { !known.insert(Name($0)).inserted }) {
          throw SettingRefusal(expected: "names that differ", found: "\(quoted(second)) twice")
        }
        return names.map { FeaturePattern($0) }
      })
  }
}

extension DecoderOptions {
  /// Takes the options from settings.
  package init(_ values: SettingValues) {
    self.init()
    settings = values
    let patterns = (values[RecordSettings.features] ?? []).divided
    features = patterns.named
    exclude = (values[RecordSettings.exclude] ?? []) + patterns.excluded
    onMissing = values[RecordSettings.onMissing]
    onInvalid = values[RecordSettings.onInvalid]
    limits.recordBytes = values[RecordSettings.recordBytes]
    limits.fields = values[RecordSettings.fields]
    limits.depth = values[RecordSettings.depth]
  }
}

extension [FeaturePattern] {
  /// The patterns that name columns, and those of `!name`, which exclude them, without the mark.
  var divided: (named: [FeaturePattern], excluded: [FeaturePattern]) {
    (
      filter { !$0.text.hasPrefix("!") },
      filter { $0.text.hasPrefix("!") }.map { FeaturePattern(String($0.text.dropFirst())) }
    )
  }
}
