internal import Configuration

extension RecordFormat {
  /// Newline-delimited JSON (also JSON Lines): an object in each line.
  package static let ndjson = RecordFormat(
    name: "ndjson", fileExtensions: ["ndjson", "jsonl"],
    settings: SettingGroup("NDJSON"),
    recordEnds: { _, _, _ in .lines(quote: nil) },
    makeDecoder: { options throws(FormatError) in try NDJSONDecoder(options) },
    makeEncoder: { options in
      if let prologue = options.prologue {
        SpliceEncoder(
          prologue: prologue, precision: options.precision, overflow: NDJSONRowEncoder.null,
          missing: NDJSONRowEncoder.null)
      } else {
        NDJSONRowEncoder(schema: options.schema, precision: options.precision)
      }
    })
}
