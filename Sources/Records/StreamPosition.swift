/// A place between two records of a stream.
///
/// Nothing inside a zstd frame can be sought, so the place in the compressed input is given as the
/// frame and the decompressed bytes within it. For input that is not compressed the one "frame" is
/// the whole input, at offset 0.
package struct StreamPosition: Sendable, Equatable, Codable {
  /// The number of records before the place, bad ones included.
  package var records: Int
  /// Decompressed bytes before the place.
  package var byteOffset: Int
  /// The offset in the input, in bytes, at which the frame of the next byte starts.
  package var frameOffset: Int
  /// Decompressed bytes before the place within that frame.
  package var byteOffsetInFrame: Int
  /// The run of the source that the place is in, where a later source could give it again.
  package var run: String?
  /// What the source needs to know of the runs that have ended, so as not to read them again; nil where
  /// it could not read anything again.
  package var finishedRuns: [String]?

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
    case run
    case finishedRuns = "finished_runs"
  }
}
