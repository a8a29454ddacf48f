/// Seeded changes to an input: flipped bits, bytes that are gone, doubled, put in, or cut off.
struct Mutation: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// - Parameter pieces: what means something in the format.
  mutating func mutated(_ input: [UInt8], with pieces: [[UInt8]]) -> [UInt8] {
    var bytes = input
    for _ in 0..<Int.random(in: 1...4, using: &self) {
      let place = Int.random(in: 0...bytes.count, using: &self)
      let end = min(bytes.count, place + Int.random(in: 0...16, using: &self))
      switch Int.random(in: 0..<8, using: &self) {
      case 0: bytes.removeSubrange(place..<end)
      case 1:
        bytes.insert(
          contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &self))
      case 2 where place < bytes.count:
        bytes[place] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &self) ?? 0
      case 3 where Int.random(in: 0..<4, using: &self) == 0: bytes.removeSubrange(place...)
      case 4 where place < bytes.count: bytes[place] = .random(in: 0...255, using: &self)
      case 5, 6: bytes.insert(contentsOf: pieces.randomElement(using: &self) ?? [], at: place)
      default: if place < bytes.count { bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &self) }
      }
    }
    return bytes
  }
}
