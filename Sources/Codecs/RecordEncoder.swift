package import Configuration
package import Records

/// Writes records; a value without state, so that blocks may be encoded in parallel.
package protocol RecordEncoder: Sendable {
  /// Writes the bytes before the first record.
  func encodePrologue(into output: ByteBuffer)
  /// Writes the selection of a block, features as they are in its columns, to the end of `output`.
  func encode(_ block: RecordBlock, into output: ByteBuffer)
}

/// How records are written.
package struct EncoderOptions: Sendable {
  package var schema: FeatureSchema
  /// The bytes that the decoder found before the records (a CSV header line). Nil if the input has another
  /// format: then the encoder makes its own.
  package var prologue: [UInt8]?
  package var precision = Precision.float32
  /// The values of the format's own settings.
  package var settings = SettingValues()

  package init(schema: FeatureSchema, prologue: [UInt8]?) {
    self.schema = schema
    self.prologue = prologue
  }
}
