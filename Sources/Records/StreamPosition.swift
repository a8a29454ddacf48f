/// A position between two records of a split, in the form that is shown.
///
/// Decompressing cannot start inside a zstd frame. So the position in the compressed bytes is the offset of the frame
/// and the number of decompressed bytes in it. Bytes that are not compressed are one "frame" at offset 0.
package struct StreamPosition: Sendable, Equatable, Codable {
  /// The number of records before the position, bad ones included.
  package var records: Int
  /// The number of decompressed bytes before the position.
  package var byteOffset: Int
  /// The offset in the input at which the frame of the next byte starts, in bytes.
  package var frameOffset: Int
  /// The number of decompressed bytes before the position in that frame.
  package var byteOffsetInFrame: Int

  package init(
    records: Int = 0, byteOffset: Int = 0, frameOffset: Int = 0, byteOffsetInFrame: Int = 0
  ) {
    self.records = records
    self.byteOffset = byteOffset
    self.frameOffset = frameOffset
    self.byteOffsetInFrame = byteOffsetInFrame
  }

  enum CodingKeys: String, CodingKey {
    case records
    case byteOffset = "byte_offset"
    case frameOffset = "frame_offset"
    case byteOffsetInFrame = "byte_offset_in_frame"
  }
}
