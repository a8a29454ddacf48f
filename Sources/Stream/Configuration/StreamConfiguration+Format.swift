internal import Codecs
internal import Configuration
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
    options.settings = decoder.settings
    return try format.makeEncoder(options)
  }

  /// What an output is made of, as text: bytes of another form do not go into the same file.
  var outputForm: String {
    let written = outputFormat ?? format
    var form = [written, compressionLevel == nil ? "plain" : "zstd", "\(precision)"]
    if let settings = BuiltInFormats.named(written)?.settings {
      form += decoder.settings.texts(of: settings, with: .outputForm).map(\.text)
    }
    if !keepsFormat { form += decoder.features.map(\.text) }
    return form.joined(separator: " ")
  }
}
