internal import Codecs
internal import Configuration
internal import Records

extension StreamConfiguration {
  /// The options with which the splits of the stream are decoded.
  var decoding: DecoderOptions {
    var options = decoder
    // Dead letters keep the bytes of records that turn out bad after they were decoded.
    options.keepsText = keepsText || badRecords == .deadLetter
    options.keepsFormat = keepsFormat
    options.keepsFields = keepsFields
    // 4-byte floats that stay so are never widened.
    let staysFloat = format.precision(options.settings) == .float32 && precision == .float32
    options.columns = staysFloat ? .float32 : .float64
    return options
  }

  /// Makes the encoder of the output, after the stream was opened.
  func makeEncoder(for opening: StreamOpening) throws(FormatError) -> any RecordEncoder {
    var options = EncoderOptions(
      schema: opening.schema, prologue: keepsFormat ? opening.prologue : nil)
    options.columns = opening.columns
    options.precision = precision
    options.fillsMissing = decoder.onMissing == .impute
    options.settings = decoder.settings
    if keepsFields {
      options.fields = format.fields.map { $0(opening, decoder.settings) }
      options.scalars = format.scalars.flatMap { $0(opening, decoder.settings) }
    }
    let encoder = try (outputFormat ?? format).makeEncoder(options)
    guard compressionLevel == nil || encoder.epilogue?.needsFile != true else {
      throw FormatError(
        OutputSettings.compression, "expected off, since the format lists places in its file")
    }
    return encoder
  }

  /// The form of the output, as text. Output of another form must not go into the same file.
  var outputForm: String {
    let written = outputFormat ?? format
    var form = [written.name, compressionLevel == nil ? "plain" : "zstd", "\(precision)"]
    if decoder.settings[RecordSettings.dictionaries] { form.append("dictionaries") }
    if let stamp = decoder.settings[RecordSettings.stamp] { form.append("stamp \(stamp)") }
    if let columns = RecordSettings.columns.text(in: decoder.settings) {
      form.append("columns \(columns)")
    }
    form += decoder.settings.texts(of: written.settings, with: .outputForm).map(\.text)
    if !keepsFormat { form += decoder.choiceTexts }
    return form.joined(separator: " ")
  }

  /// The settings that determine how a stream is opened, as text.
  var inputForm: String {
    var form = [format.name]
    form += decoder.settings.texts(of: format.settings).map { "\($0.key)=\($0.text)" }
    if keepsFields { form.append("all columns") }
    return (form + decoder.choiceTexts).joined(separator: " ")
  }
}
