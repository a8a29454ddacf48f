internal import Foundation

extension RandomNumberGenerator {
  /// Changes an input in a few places: flips bits, and removes, repeats, inserts or overwrites bytes.
  ///
  /// - Parameters:
  ///   - pieces: bytes that mean something in the format; mutations insert them.
  ///   - changes: how many changes are made.
  package mutating func mutated(
    _ input: [UInt8], with pieces: [[UInt8]], changes: ClosedRange<Int> = 1...4
  ) -> [UInt8] {
    var bytes = input
    for _ in 0..<Int.random(in: changes, using: &self) {
      let start = Int.random(in: 0...bytes.count, using: &self)
      let end = min(bytes.count, start + Int.random(in: 0...16, using: &self))
      switch Int.random(in: 0..<8, using: &self) {
      case 0: bytes.removeSubrange(start..<end)
      case 1:
        bytes.insert(
          contentsOf: bytes[start..<end], at: Int.random(in: 0...bytes.count, using: &self))
      case 2 where start < bytes.count:
        bytes[start] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &self) ?? 0
      case 3 where once(in: 4): bytes.removeSubrange(start...)
      case 4 where start < bytes.count: bytes[start] = .random(in: 0...255, using: &self)
      case 5, 6: bytes.insert(contentsOf: pieces.randomElement(using: &self) ?? [], at: start)
      default: if start < bytes.count { bytes[start] ^= 1 << UInt8.random(in: 0..<8, using: &self) }
      }
    }
    return bytes
  }
}

/// How many mutated inputs each of several decoders gets. `EVENKEEL_FUZZ` sets their sum; it is 2,100 by default.
package func fuzzDose(shareOf decoders: Int) -> Int {
  let asked = ProcessInfo.processInfo.environment["EVENKEEL_FUZZ"].flatMap { Int($0) }
  return ((asked ?? 2100) + decoders - 1) / decoders
}
