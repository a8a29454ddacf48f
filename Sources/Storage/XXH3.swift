internal import CXXHash

/// XXH3 with 64 bits and seed 0 (xxhash.com) of `bytes`.
package func xxh3(_ bytes: [UInt8]) -> UInt64 {
  bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
}

/// The 16 hexadecimal digits of a hash, as files and checkpoints spell it.
package func hexDigits(_ hash: UInt64) -> String {
  let digits = String(hash, radix: 16)
  return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
