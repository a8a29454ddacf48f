internal import Codecs
internal import Dataflow
internal import Features

/// Formats a unit of batches and compresses it into a zstd frame of its own.
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
    text.removeAll()
    var records = 0
    var batches = 0
    if let encoder = input.encoder {
      if input.startsStream { encoder.encodePrologue(into: text) }
      for batch in input.batches {
        encoder.encode(batch, into: text)
        records += batch.features.count
        batches += batch.features.count > 0 ? 1 : 0
      }
    }
    // The first unit is a frame even when empty: what has no frame is no zstd file.
    let isFrame = text.count > 0 || input.startsStream
    let bytes =
      if let compressor { isFrame ? try compressor.compress(text.readable) : [] } else {
        Array(text.readable)
      }
    return EncodedUnit(
      bytes: bytes, records: records, batches: batches, rejected: input.rejected,
      checkpoint: input.checkpoint)
  }
}
