internal import CXXHash

/// XXH3 with 64 bits and seed 0 (xxhash.com) of `bytes`.
package func xxh3(_ bytes: [UInt8]) -> UInt64 {
  bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
}
