internal import Codecs
internal import Configuration
internal import Records

extension StreamConfiguration {
  /// The encoder of the stream's output, once the start of the stream is known.
  func makeEncoder(for opening: StreamOpening) throws(FormatError) -> any RecordEncoder {
    var options = EncoderOptions(
      schema: opening.schema, prologue: keepsFormat ? opening.prologue : nil)
    options.precision = precision
    options.settings = decoder.settings
    return try (outputFormat ?? format).makeEncoder(options)
  }

  /// The form of the output, as text: bytes of another form do not go into the same file.
  var outputForm: String {
    let written = outputFormat ?? format
    var form = [written.name, compressionLevel == nil ? "plain" : "zstd", "\(precision)"]
    form += decoder.settings.texts(of: written.settings, with: .outputForm).map(\.text)
    if !keepsFormat { form += decoder.features.map(\.text) }
    return form.joined(separator: " ")
  }

  /// What the opening of a stream depends on, as text.
  var inputForm: String {
    var form = [format.name]
    form += decoder.settings.texts(of: format.settings).map { "\($0.key)=\($0.text)" }
    return (form + decoder.features.map(\.text)).joined(separator: " ")
  }
}
