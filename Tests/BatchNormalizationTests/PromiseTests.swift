import Records
import TestSupport
import Testing

@testable import BatchNormalization

/// A stream that the README's first paragraph promises mean 0 and deviation 1 for.
private struct PromisedStream: CustomTestStringConvertible {
  let name: String
  /// Whether the mean of the output is promised too; a random walk has none.
  var hasMean = true
  var hasDeviation = true
  /// The next value, from its number and the one before.
  let next: @Sendable (Int, Double, inout SeededGenerator) -> Double

  var testDescription: String { name }
}

/// About normal, mean 0 and deviation 1.
private func deviate(_ random: inout SeededGenerator) -> Double {
  (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &random) }
}

private func autoregressive(_ factor: Double)
  -> @Sendable (Int, Double, inout SeededGenerator) ->
  Double
{
  { _, last, random in
    factor * last + (1 - factor * factor).squareRoot() * deviate(&random)
  }
}

private func flag(oneIn count: Int) -> @Sendable (Int, Double, inout SeededGenerator) -> Double {
  { _, _, random in Int.random(in: 0..<count, using: &random) == 0 ? 1 : 0 }
}

private let streams: [PromisedStream] = [
  PromisedStream(name: "independent") { _, _, random in 5 + 3 * deviate(&random) },
  PromisedStream(name: "AR(1) 0.99", next: autoregressive(0.99)),
  PromisedStream(name: "AR(1) 0.999", next: autoregressive(0.999)),
  PromisedStream(name: "seasonal") { index, _, random in
    // A day of hourly values, and a year of them.
    let hours = Double(index)
    return 10 * (1 - (hours / 24).truncatingRemainder(dividingBy: 1))
      + 3 * (hours / 8760).truncatingRemainder(dividingBy: 1) + deviate(&random)
  },
  PromisedStream(name: "random walk", hasMean: false) { _, last, random in
    last + deviate(&random)
  },
  PromisedStream(name: "heavy tails") { _, _, random in
    // Student's t with 3 degrees of freedom.
    let squares = (0..<3).map { _ in deviate(&random) }.reduce(0) { $0 + $1 * $1 }
    return deviate(&random) / (squares / 3).squareRoot()
  },
  PromisedStream(name: "log-normal") { _, _, random in exponential(deviate(&random)) },
  PromisedStream(name: "a flag of 1 in 100", next: flag(oneIn: 100)),
  PromisedStream(name: "a flag of 1 in 1,000", next: flag(oneIn: 1000)),
  PromisedStream(name: "a flag of 1 in 10,000", hasDeviation: false, next: flag(oneIn: 10_000)),
  PromisedStream(name: "a tiny scale") { _, _, random in 2e-4 * deviate(&random) },
  PromisedStream(name: "an offset of 1e9") { _, _, random in 1e9 + deviate(&random) },
]

/// e^x by its series, which needs no library.
private func exponential(_ x: Double) -> Double {
  var (term, sum) = (1.0, 1.0)
  for n in 1...40 {
    term *= x / Double(n)
    sum += term
  }
  return sum
}

/// The batches of a stream: by size, or by a second of a live stream's clock.
private struct Cutting: CustomTestStringConvertible {
  let recordsPerSecond: Double
  let size: Int

  /// The records of one batch. At a low rate `max_delay` (1 s) cuts it first.
  var records: Int { min(size, max(1, Int(recordsPerSecond))) }
  var testDescription: String { "\(recordsPerSecond) records a second, batches of \(size)" }
}

private let cuttings = [
  // One record each 1.15 s: every batch has one record.
  Cutting(recordsPerSecond: 0.87, size: 256), Cutting(recordsPerSecond: 7, size: 256),
  Cutting(recordsPerSecond: 10_000, size: 32), Cutting(recordsPerSecond: 10_000, size: 256),
]

/// The moments of the output of the defaults over records 500 to `count`, and the greatest |y|.
private func output(
  of stream: PromisedStream, _ cutting: Cutting, seed: UInt64, count: Int
) throws -> (mean: Double, deviation: Double, greatest: Double) {
  var random = SeededGenerator(seed: seed)
  var normalizer = try makeNormalizer(NormalizationSettings())
  var (index, last, greatest) = (0, 0.0, 0.0)
  var found = Moments()
  while index < count {
    let records = (0..<min(cutting.records, count - index)).map { offset in
      last = stream.next(index + offset, last, &random)
      return last
    }
    let y = try normalizer.normalized([records])[0]
    for value in y {
      greatest = max(greatest, abs(value))
      if index >= 500 { found.merge(Moments(weight: 1, mean: value, m2: 0)) }
      index += 1
    }
  }
  return (found.mean, found.biasedVariance.squareRoot(), greatest)
}

private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// The claim of the README's first paragraph. `make promise-check` measures it on the real program, in full length:
/// records 500 to 200,000 and 20 seeds.
@Test(arguments: streams, cuttings)
private func `The defaults bring a stream to mean 0 and deviation 1, however it is cut`(
  stream: PromisedStream, cutting: Cutting
) throws {
  let (seeds, count) = (3, 8000)
  let runs = try (0..<seeds).map { try output(of: stream, cutting, seed: UInt64($0), count: count) }
  let deviation = median(runs.map(\.deviation))
  let mean = median(runs.map { abs($0.mean) })
  #expect(runs.allSatisfy { $0.greatest <= 100 + 1e-9 }, "\(stream), \(cutting)")
  if stream.hasDeviation {
    #expect((0.8...1.35).contains(deviation), "\(stream), \(cutting): deviation \(deviation)")
  }
  if stream.hasMean { #expect(mean < 0.35, "\(stream), \(cutting): mean \(mean)") }
}
