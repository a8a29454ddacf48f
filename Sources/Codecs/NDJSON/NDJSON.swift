package import Configuration

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
    makeDecoder: { options throws(FormatError) in try NDJSONDecoder(options) },
    makeEncoder: { options in
      if let prologue = options.prologue {
        SpliceEncoder(
          prologue: prologue, precision: options.precision, overflow: NDJSONRowEncoder.null,
          missing: NDJSONRowEncoder.null)
      } else {
        NDJSONRowEncoder(options)
      }
    })
}
