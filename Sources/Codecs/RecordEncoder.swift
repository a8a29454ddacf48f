package import Configuration
package import Records

/// Writes records. It is a value without state, so several blocks may be encoded in parallel.
package protocol RecordEncoder: Sendable {
  /// Writes the bytes before the first record.
  func encodePrologue(into output: ByteBuffer)
  /// Writes the selection of a block, with the features of its columns, to the end of `output`.
  func encode(_ block: RecordBlock, into output: ByteBuffer)
  /// The bytes that `encode` would write, in arrays that need not be copied together. The block is not encoded again.
  /// An encoder has them for every block or for none.
  ///
  /// - Returns: nil if `encode` has nothing to hand over.
  func pieces(of block: RecordBlock) -> [[UInt8]]?
  /// The bytes of each message of a block, for a format that writes many records in one. Each can be read after the
  /// prologue alone. The block is not encoded again.
  ///
  /// - Parameter changes: what changes the prologue, in the blocks before; gets what this block adds.
  /// - Returns: nil if the format writes record by record, or if records of several messages go into one.
  func messages(of block: RecordBlock, after changes: inout [UInt8]) -> [EncodedMessage]?
  /// Writes the bytes before the first record of the files and readers that begin after a block, if the selection of
  /// the block changes them.
  ///
  /// - Returns: whether it does.
  func encodePrologue(after block: RecordBlock, into output: ByteBuffer) -> Bool
  /// The bytes after the last record; nil if there are none.
  var epilogue: (any Epilogue)? { get }
}

extension RecordEncoder {
  package func pieces(of block: RecordBlock) -> [[UInt8]]? { nil }
  package func messages(
    of block: RecordBlock, after changes: inout [UInt8]
  ) -> [EncodedMessage]? { nil }
  package func encodePrologue(after block: RecordBlock, into output: ByteBuffer) -> Bool { false }
  package var epilogue: (any Epilogue)? { nil }
}

/// A message with records of one message of the input.
package struct EncodedMessage: Sendable {
  package var bytes: [UInt8]
  /// The index of its last record in the block.
  package var lastRecord: Int

  package init(bytes: [UInt8], lastRecord: Int) {
    self.bytes = bytes
    self.lastRecord = lastRecord
  }
}

/// The options for writing records.
package struct EncoderOptions: Sendable {
  package var schema: FeatureSchema
  /// The bytes that the decoder found before the records, such as a CSV header. Nil if the input has another format;
  /// then the encoder makes its own.
  package var prologue: [UInt8]?
  /// The names of all columns of the input, if its records have one order.
  package var columns: [String] = []
  package var precision = Precision.float32
  /// Whether missing values can have become numbers.
  package var fillsMissing = true
  /// Divides the text of the records into fields, if the blocks have the text of another format; nil otherwise.
  package var fields: (any TextFields)?
  /// Spells the other columns of records, if the blocks have those of a format with typed columns; nil otherwise.
  package var scalars: (any ScalarFields)?
  /// The values of the format's own settings.
  package var settings = SettingValues()

  package init(schema: FeatureSchema, prologue: [UInt8]?) {
    self.schema = schema
    self.prologue = prologue
  }

  /// The columns that an encoder of text writes for records of another format.
  var rowColumns: [String] { scalars?.columns.map(\.name) ?? schema.names }
}
