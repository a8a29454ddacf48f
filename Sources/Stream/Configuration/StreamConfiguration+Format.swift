internal import Codecs
internal import Records

extension StreamConfiguration {
  /// The encoder of the stream's output, once the start of the stream is known.
  func makeEncoder(for opening: StreamOpening) throws(FormatError) -> any RecordEncoder {
    guard let format = BuiltInFormats.named(outputFormat ?? format) else {
      throw FormatError("unknown format '\(outputFormat ?? format)'")
    }
    var options = EncoderOptions(
      schema: opening.schema, prologue: keepsFormat ? opening.prologue : nil)
    options.precision = precision
    options.delimiter = decoder.delimiter
    options.rawColumns = decoder.rawColumns
    options.rawScalar = decoder.rawScalar
    return try format.makeEncoder(options)
  }

  /// What an output is made of, as text: bytes of another form do not go into the same file.
  var outputForm: String {
    var form = [
      outputFormat ?? format, compressionLevel == nil ? "plain" : "zstd", "\(precision)",
      "\(decoder.delimiter)", "\(decoder.hasHeader)", "\(decoder.rawColumns ?? 0)",
      "\(decoder.rawScalar)",
    ]
    if !keepsFormat { form += decoder.features.map(\.text) }
    return form.joined(separator: " ")
  }
}
