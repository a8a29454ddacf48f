package import Configuration
package import Records

/// Writes records. It is a value without state, so several blocks may be encoded in parallel.
package protocol RecordEncoder: Sendable {
  /// Writes the bytes before the first record.
  func encodePrologue(into output: ByteBuffer)
  /// Writes the selection of a block, with the features of its columns, to the end of `output`.
  func encode(_ block: RecordBlock, into output: ByteBuffer)
}

/// The options for writing records.
package struct EncoderOptions: Sendable {
  package var schema: FeatureSchema
  /// The bytes that the decoder found before the records, such as a CSV header. Nil if the input has another format;
  /// then the encoder makes its own.
  package var prologue: [UInt8]?
  package var precision = Precision.float32
  /// The values of the format's own settings.
  package var settings = SettingValues()

  package init(schema: FeatureSchema, prologue: [UInt8]?) {
    self.schema = schema
    self.prologue = prologue
  }
}
