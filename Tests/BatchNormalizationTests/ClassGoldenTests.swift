import Records
import State
import Testing

@testable import BatchNormalization

private struct ClassGolden: Decodable {
  struct Moments: Decodable {
    /// After each record, of each feature.
    var mean, variance: [[Double?]]
  }
  struct Kinds: Decodable {
    var balanced, shares: Moments
  }
  var classes: [String?]
  var values: GoldenColumns
  var weights: [Double]
  var shares: [String: Double]
  var cumulative, halfLife: Kinds
}

/// The mixture of the moments of classes against NumPy, from all values (Tests/Oracles/make_class_golden.py).
struct ClassGoldenTests {
  private let golden: ClassGolden

  init() throws { golden = try BatchNormalizationTests.golden("classes", as: ClassGolden.self) }

  @Test(arguments: [Momentum.cumulative, .halfLifeRecords(12.5)], [false, true])
  func `NumPy's mixture of classes has the same moments`(
    momentum: Momentum, isBalanced: Bool
  ) throws {
    let kinds = momentum == .cumulative ? golden.cumulative : golden.halfLife
    let expected = isBalanced ? kinds.balanced : kinds.shares
    let shares = isBalanced ? [] : golden.shares.map { ClassShare(name: $0.key, share: $0.value) }
    for size in [1, 9] {
      var run = try makeNormalizer(features: 2, classSettings(shares) { $0.momentum = momentum })
      var compared = 0
      for start in stride(from: 0, to: golden.classes.count, by: size) {
        let end = min(start + size, golden.classes.count)
        var batch = ClassedRecord.batch(
          (start..<end).map { index in
            ClassedRecord(
              name: golden.classes[index], values: golden.values.map { $0[index] ?? .nan },
              weight: golden.weights[index])
          }, among: shares.map(\.name))
        _ = try run.normalize(&batch)
        for j in 0..<2 {
          guard let mean = expected.mean[end - 1][j], let variance = expected.variance[end - 1][j]
          else { continue }
          #expect(agree(run.state.running.mean[j], mean, 1e-12), "record \(end), feature \(j)")
          #expect(
            agree(run.state.running.variance[j], variance, 1e-12, scale: 1e-4 * mean * mean),
            "record \(end), feature \(j)")
          compared += 1
        }
      }
      #expect(compared > 250 / size)
    }
  }
}
