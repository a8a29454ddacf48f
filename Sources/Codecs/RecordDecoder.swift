package import Records

/// Cuts decompressed bytes into records and reads their features.
///
/// A decoder sees the bytes through a window. It gives the same records however the stream is divided into
/// windows. A window starts at the first byte that was not consumed.
package protocol RecordDecoder: Sendable {
  /// Reads the bytes before the first record of the split, and chooses the features.
  ///
  /// - Returns: nil if it must see more bytes; asked again with a longer window then. The prologue is that
  ///   of this split, and is consumed. If the options name another opening that the split does not fit,
  ///   the columns found tell, and nothing is decoded.
  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening?

  /// Appends records to `block` until it holds `limit` of them, the window has no other whole record, or a
  /// record is bad.
  ///
  /// Adds each record to `progress` as it is taken, be it good or bad.
  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome

  /// Checks what needs the whole stream, after its end.
  func finish() throws(RecordFault)
}

/// The bytes of the stream that were read and not consumed.
package struct InputWindow {
  package let bytes: UnsafeBufferPointer<UInt8>
  /// Whether the stream ends with these bytes.
  package let isLast: Bool

  package init(bytes: UnsafeBufferPointer<UInt8>, isLast: Bool) {
    self.bytes = bytes
    self.isLast = isLast
  }
}

/// The progress of a decoder in its window.
package struct DecodeProgress {
  /// Bytes consumed.
  package var consumed = 0
  /// Records taken, bad ones included; blank lines are none.
  package var records = 0
  /// Whether the last of them was one of a unit that goes on: of an Arrow record batch, of a message with
  /// many records. No checkpoint divides such a unit, and its end ends the open mini-batch if that began
  /// within it. A decoder begins a unit only when the window holds all of it.
  package var isInsideUnit = false

  package init() {}
}

/// Why a decoder stopped.
package enum DecodeOutcome {
  /// The block holds `limit` records.
  case limitReached
  /// A unit of several records has ended.
  case unitEnded
  /// No whole record is left in the window. At the end of the stream, no byte is left.
  case needsInput
  /// A record is bad; its bytes, the line end among them, count as consumed.
  case rejected(RecordFault, byteCount: Int)
  /// Nothing more can be read: the record's end is unknown, or beyond a limit.
  case failed(RecordFault)
}
