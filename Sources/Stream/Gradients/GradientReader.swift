internal import Codecs
internal import Connectors
internal import Operators
internal import Records
internal import Storage

/// Takes the gradients of one split out of its bytes.
protocol GradientReader: Sendable {
  /// The bytes that were added and not taken.
  var byteCount: Int { get }
  /// The offset in the split after the last line that was taken.
  var settledOffset: Int { get }
  /// Whether the rest of the split cannot be read.
  var isBroken: Bool { get }

  /// Adds bytes of the split, and takes them out of the buffer.
  ///
  /// - Parameter endsRecord: whether nothing goes on in the bytes after them.
  mutating func append(_ bytes: inout ByteBuffer, endsRecord: Bool)
  /// Records that no more bytes come.
  ///
  /// - Parameter dropsRest: whether a last line without an end is one whose writer is gone.
  mutating func end(dropsRest: Bool)
  /// The first line that was not taken; nil if it is not there.
  mutating func next() -> GradientFeed.Line?
  /// Takes the line that `next` gave.
  mutating func pass()
  /// The position after the last line that was taken.
  func cursor(in source: any Source) throws(FileError) -> SplitCursor
}

/// The form of gradients in a split.
extension GradientFormat {
  func makeReader(_ split: SplitID, at start: SplitStart) -> any GradientReader {
    switch self {
    case .ndjson: GradientLines(split, at: start)
    case .arrow: GradientBatches(split, at: start)
    }
  }
}
