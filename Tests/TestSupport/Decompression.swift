internal import Codecs

/// The bytes of all frames, or of a text that has none.
package func decompressed(_ bytes: [UInt8]) throws -> [UInt8] {
  var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
  let output = ByteBuffer()
  var rest = bytes[...]
  repeat {
    let consumed = try rest.withUnsafeBytes {
      try decompressor.decompress($0, isLast: true, limit: 1 << 20, into: output)
    }
    rest = rest.dropFirst(consumed)
  } while !rest.isEmpty || decompressor.mayHoldMore
  try decompressor.finish()
  return Array(output.readable)
}
