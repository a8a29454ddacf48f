internal import Codecs
internal import Connectors
internal import Records
internal import Storage

/// The positions and the cursor of a split.
extension SplitReader {
  /// The position after the last record taken.
  mutating func position() -> StreamPosition {
    decompressor.position(atByte: byteOffset, records: records)
  }

  /// Whether records or blank lines were taken whose batch is not cut.
  var isAhead: Bool { settled.byteOffset != byteOffset || settled.records != records }

  /// Records that the batch of the last record taken was cut.
  mutating func settle() {
    guard isAhead else { return }
    settled = position()
    settledState = decoder.state
  }

  /// The offset in the bytes of the source from which a later run reads again.
  var settledSourceOffset: Int {
    decompressor.container(of: settled)?.offset ?? settled.byteOffset
  }

  /// The cursor after the last record whose batch was cut.
  func cursor(in source: any Source) throws(FileError) -> SplitCursor {
    var cursor = cursor(at: settled)
    cursor.source = try source.mark(of: split, at: cursor.sourceOffset)
    return cursor
  }

  /// The cursor after the last record taken, to show it.
  mutating func endCursor() -> SplitCursor { cursor(at: position()) }

  private func cursor(at position: StreamPosition) -> SplitCursor {
    SplitCursor(
      split: name, container: decompressor.container(of: position),
      byteOffset: position.byteOffset, records: position.records, decoder: settledState)
  }
}
