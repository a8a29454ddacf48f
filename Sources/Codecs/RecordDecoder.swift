package import Records

/// Cuts decompressed bytes into records and reads their features.
///
/// A decoder sees the bytes through a window, which starts at the first byte that was not consumed. The records must
/// not depend on how the stream is divided into windows.
package protocol RecordDecoder: Sendable {
  /// Reads the bytes before the first record of the split, and selects the features.
  ///
  /// - Returns: nil if it needs more bytes; then it is called again with a longer window. The prologue is that of
  ///   this split, and is consumed. If the options have another opening, and the split does not fit it, the result
  ///   has the columns that were found, and nothing is decoded.
  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening?
  /// The number of bytes of the window that the opening took.
  func byteCount(of opening: StreamOpening) -> Int

  /// Appends records to `block` until the block contains `limit` records, the window has no other whole record, or a
  /// record is bad.
  ///
  /// Adds each record to `progress` when it is taken, good or bad.
  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome

  /// The data with which the decoder of a later run continues after the last record or unit.
  var state: OpaqueBytes { get }

  /// Checks what can only be checked at the end of the stream.
  func finish() throws(RecordFault)

  /// Finds records in a block that decoders with the same options have filled, so that they can be taken out.
  ///
  /// - Parameter records: indices of records of which every value was read; they ascend.
  /// - Returns: nil if records of this format cannot be taken out. A bad one then stays (`Payload.spoil`), or stops its
  ///   stream.
  func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]?
}

extension RecordDecoder {
  package func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]? { nil }
}

extension RecordDecoder {
  package func byteCount(of opening: StreamOpening) -> Int { opening.prologue.count }
  package var state: OpaqueBytes { OpaqueBytes() }
}

/// The bytes of the stream that were read and not consumed.
package struct InputWindow {
  package let bytes: UnsafeBufferPointer<UInt8>
  /// Whether the stream ends with these bytes.
  package let isLast: Bool
  /// Whether a stream whose start is looked at must be opened by the records that are here, if there are any.
  package let isEnough: Bool

  package init(bytes: UnsafeBufferPointer<UInt8>, isLast: Bool, isEnough: Bool = false) {
    self.bytes = bytes
    self.isLast = isLast
    self.isEnough = isEnough
  }
}

/// The progress of a decoder in its window.
package struct DecodeProgress {
  /// The number of bytes consumed.
  package var consumed = 0
  /// The number of records taken, with bad ones. Blank lines are no records.
  package var records = 0
  /// Whether the last record belongs to a unit that continues: an Arrow record batch, or a message with many records.
  /// No checkpoint divides such a unit. Its end also ends the open mini-batch, if that began within it. A decoder
  /// begins a unit only if the window contains all of it.
  package var isInsideUnit = false

  /// The number of bytes before the unit of the last records; nil if there is none.
  package var unitStart: Int?

  /// The prologue of the stream: before the call that in force, after it the changed one, if the records changed it. A
  /// later run, and a split that is opened later, begin with it. Nil if it is not known.
  package var prologue: [UInt8]?

  package init() {}
}

/// The reason why a decoder stopped.
package enum DecodeOutcome {
  /// The block contains `limit` records.
  case limitReached
  /// A unit of several records has ended.
  case unitEnded
  /// The window has no other whole record. At the end of the stream, it has no other byte.
  case needsInput
  /// A record is bad. Its bytes, with the line end, are consumed; those of a unit only with its last record.
  case rejected(RecordFault, byteCount: Int)
  /// Decoding cannot continue: the end of the record is unknown, or beyond a limit.
  case failed(RecordFault)
}
