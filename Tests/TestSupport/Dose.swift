internal import Foundation

/// How many mutated inputs one of so many decoders gets: `EVENKEEL_FUZZ` over all of them, else 2,100.
package func fuzzDose(shareOf decoders: Int) -> Int {
  let asked = ProcessInfo.processInfo.environment["EVENKEEL_FUZZ"].flatMap { Int($0) }
  return ((asked ?? 2100) + decoders - 1) / decoders
}

/// What random numbers start from: `EVENKEEL_SEED`, which makes an earlier run again, or any number.
package let testSeed: UInt64 =
  ProcessInfo.processInfo.environment["EVENKEEL_SEED"].flatMap { UInt64($0) }
  ?? .random(in: 0 ... .max)
