package import Configuration
internal import Records

/// The settings of NDJSON.
package enum NDJSONSettings {
  package static let group = SettingGroup("NDJSON", [quotedNumbers])

  package static let quotedNumbers = Setting(
    "quoted_numbers", .bool, default: false, option: .flag("quoted-numbers"),
    help: "Whether numbers in quotes are numbers; they keep their quotes.")
}

extension RecordFormat {
  /// Newline-delimited JSON (also JSON Lines): an object in each line.
  package static let ndjson = RecordFormat(
    name: "ndjson", fileExtensions: ["ndjson", "jsonl"],
    settings: NDJSONSettings.group,
    recordEnds: { _, _, _ in .lines(quote: nil) },
    fields: { opening, _ in JSONTextFields(opening) }, writesScalars: true,
    outputOptions: [RecordSettings.stamp, RecordSettings.columns],
    makeDecoder: { options throws(FormatError) in try NDJSONDecoder(options) },
    makeEncoder: { options throws(FormatError) in
      guard let prologue = options.prologue else {
        return try JSONEditor.edited(NDJSONRowEncoder(options), of: options.rowColumns, options)
      }
      let encoder = SpliceEncoder(
        prologue: prologue, precision: options.precision, overflow: NDJSONRowEncoder.null,
        missing: NDJSONRowEncoder.null)
      return try JSONEditor.edited(encoder, of: nil, options)
    })
}
