internal import Codecs
internal import Dataflow
internal import Features

/// Formats a unit of records and compresses it into a zstd frame of its own.
///
/// A unit depends on no other, so any number of workers give the same bytes.
struct EncodeWorker: Worker {
  private let compressor: ZstdCompressor?
  private let text = ByteBuffer()

  /// - Parameter level: the zstd level; nil leaves the output uncompressed.
  init(level: Int?) throws(ZstdError) {
    compressor = try level.map { level throws(ZstdError) in try ZstdCompressor(level: level) }
  }

  mutating func work(_ input: consuming NormalizedUnit) throws -> EncodedUnit {
    var prologue: [UInt8]?
    if input.startsStream {
      text.removeAll()
      input.encoder?.encodePrologue(into: text)
      // A frame even when empty: what has no frame is no zstd file.
      prologue = try frame(keepsEmpty: true)
    }
    text.removeAll()
    var records = 0
    if let encoder = input.encoder {
      for index in input.slices.indices {
        encoder.encode(input.slices[index], into: text)
        records += input.slices[index].records.count
      }
    }
    return EncodedUnit(
      prologue: prologue, bytes: try frame(keepsEmpty: false), records: records, cuts: input.cuts,
      rejected: input.rejected, checkpoint: input.checkpoint, replies: input.replies)
  }

  private func frame(keepsEmpty: Bool) throws(ZstdError) -> [UInt8] {
    guard text.count > 0 || keepsEmpty else { return [] }
    return try compressor?.compress(text.readable) ?? Array(text.readable)
  }
}
