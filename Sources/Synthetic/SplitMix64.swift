/// The generator SplitMix64 of Steele, Lea and Flood 2014. It has 64 bits of state, and gives the same numbers for a
/// seed on every machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number with mean 0 and standard deviation 1, nearly normal and within ±4.9: the scaled sum of eight uniform
  /// numbers (Irwin–Hall).
  ///
  /// Box–Muller would need a logarithm and a cosine, whose last bit differs between C libraries.
  mutating func nextNormal() -> Double {
    let everyOther: UInt64 = 0x0000_ffff_0000_ffff
    let (a, b) = (next(), next())
    let lanes =
      (a & everyOther) + (a >> 16 & everyOther) + (b & everyOther) + (b >> 16 & everyOther)
    let sum = lanes & 0xffff_ffff + lanes >> 32
    // The mean of the sum is 8 · (2^16 − 1)/2, and its variance is 8 · (2^32 − 1)/12.
    return (Double(sum) - 262_140) * (1 / 53_509.919_921_450_08)
  }

  /// A number in [0, 1), a multiple of 2^−53.
  mutating func nextUnit() -> Double {
    Double(next() >> 11) * 0x1p-53
  }
}
