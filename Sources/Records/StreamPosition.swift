/// A position between two records of a split, as it is shown.
///
/// Decompressing cannot start inside a zstd frame, so the position in the compressed bytes is that of the
/// frame and the decompressed bytes within it. If the bytes are not compressed, the one "frame" is all of
/// them, at offset 0.
package struct StreamPosition: Sendable, Equatable, Codable {
  /// The number of records before the place, bad ones included.
  package var records: Int
  /// Decompressed bytes before the place.
  package var byteOffset: Int
  /// The offset in the input, in bytes, at which the frame of the next byte starts.
  package var frameOffset: Int
  /// Decompressed bytes before the place within that frame.
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
