internal import Codecs

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
}
