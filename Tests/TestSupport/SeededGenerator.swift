internal import Foundation
internal import Synthetic

/// Random numbers for tests: the same seed gives the same numbers on every machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  /// The first state. A test prints it when it fails.
  package let seed: UInt64
  private var numbers: SplitMix64

  package init(seed: UInt64 = testSeed) {
    self.seed = seed
    numbers = SplitMix64(seed: seed)
  }

  package mutating func next() -> UInt64 { numbers.next() }
}

extension RandomNumberGenerator {
  /// Whether an event happens that happens once in `count` draws.
  package mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }

  /// A multiple of 1/`denominator`. If that is a power of two, a text in decimals holds it exactly.
  ///
  /// - Parameter limit: the greatest numerator; the least one is its opposite.
  package mutating func fraction(upTo limit: Int, over denominator: Double) -> Double {
    Double(Int.random(in: -limit...limit, using: &self)) / denominator
  }
}

/// The seed of the tests: `EVENKEEL_SEED`, which repeats an earlier run, or a random number.
package let testSeed: UInt64 =
  ProcessInfo.processInfo.environment["EVENKEEL_SEED"].flatMap { UInt64($0) }
  ?? .random(in: 0 ... .max)
