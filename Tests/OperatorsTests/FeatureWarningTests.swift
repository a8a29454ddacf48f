import BatchNormalization
import Records
import State
import Testing

@testable import Operators

/// Warnings about features: when they are told, and of which features.
@Suite struct FeatureWarningTests {
  private func chain(
    _ names: [String], _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) throws -> OperatorChain {
    var settings = NormalizationSettings()
    change(&settings)
    return try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: FeatureSchema(names), outputPrecision: .float32, normalization: settings))
  }

  /// Normalises batches, and returns the events of each.
  private func run(
    _ chain: inout OperatorChain, batches: Int, of size: Int,
    _ value: (_ feature: Int, _ record: Int) -> Double
  ) throws -> [OperatorEvent] {
    var events: [OperatorEvent] = []
    for batch in 0..<batches {
      var columns = FeatureColumns(
        featureCount: chain.schema.count, capacity: size, precision: .float64)
      columns.count = size
      columns.withFloat64Columns { values in
        for feature in 0..<chain.schema.count {
          for record in 0..<size {
            values[feature * size + record] = value(feature, batch * size + record)
          }
        }
      }
      _ = try chain.operate(on: &columns)
      events += chain.takeEvents()
    }
    return events
  }

  @Test func `each kind is told once, and when it ends`() throws {
    var chain = try chain(["good", "constant", "gaps", "tiny"]) {
      $0.epsilon = .absolute(1e-5)
    }
    let events = try run(&chain, batches: 45, of: 128) { feature, record in
      switch feature {
      case 0: Double(record % 7)
      case 1: record < 20 * 128 ? 3 : Double(record % 5)
      case 2: record.isMultiple(of: 3) ? Double(record) : .nan
      default: 1e-4 * Double(record % 7)
      }
    }
    #expect(
      events.map(\.kind.name) == Array(repeating: "feature_warning", count: 3) + [
        "feature_warning_ended"
      ])
    #expect(events.map(\.feature) == ["constant", "gaps", "tiny", "constant"])
    #expect(events[0].text == "all of its 2560 values are 3.0, so that each becomes β")
    #expect(events[1].text == "1706 of its 2560 values are missing")
    #expect(events[2].text.hasPrefix("epsilon 1e-05 is more than 1 % of its variance "))
    #expect(events[3].text == "is no longer constant")
    #expect(chain.warnings(.underWay).map(\.feature) == ["gaps", "tiny"])
  }

  @Test func `a variance that no batch updates is told after 20 batches`() throws {
    var chain = try chain(["x"]) {
      $0 = NormalizationSettings(preset: .pytorch)
    }
    #expect(try run(&chain, batches: 19, of: 1) { Double($1 + $0) } == [])
    let events = try run(&chain, batches: 41, of: 1) { Double($1 + $0) }
    #expect(events.map(\.feature) == ["x"])
    #expect(
      events.first?.text
        == "its variance has had no update in 20 batches, because each has one of its values; "
        + "use estimator: total or a larger batch.size")
  }

  @Test func `frozen moments and a reset do not change what is missing`() throws {
    var learning = try chain(["x"])
    _ = try run(&learning, batches: 4, of: 16) { Double($1 + $0) }
    var settings = NormalizationSettings()
    settings.isFrozen = true
    var frozen = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: FeatureSchema(["x"]), outputPrecision: .float32,
        normalization: settings), state: learning.state)
    // 30 % are missing.
    _ = try run(&frozen, batches: 40, of: 100) { $1 % 10 < 3 ? .nan : Double($1 + $0) }
    #expect(frozen.warnings(.atEnd) == [])
    #expect(frozen.state[count: "evenkeel.values.present"] == [64 + 2800])
    let events = try run(&frozen, batches: 60, of: 100) { _, _ in .nan }
    #expect(events.map(\.kind.name) == ["feature_warning"])
    #expect(frozen.warnings(.atEnd).map(\.text) == ["7200 of its 10064 values are missing"])
    let ratio = NormalizeMetrics.all.first { $0.name == "missing_ratio" }
    #expect(ratio?.values(OperatorView(state: frozen.state)) == [7200.0 / 10064])
  }

  @Test func `a spread that is too small to square is not called constant`() throws {
    var chain = try chain(["tiny", "small", "zero", "usual"])
    _ = try run(&chain, batches: 4, of: 16) { feature, record in
      switch feature {
      case 0: 1e-170 * Double(1 + record % 7)
      case 1: 1e-140 * Double(record % 7)
      case 2: 0
      default: 1e-120
      }
    }
    #expect(
      chain.warnings(.atEnd).map(\.description) == [
        "feature 'tiny': its 64 values differ by less than 1e-150, if at all, which is too little to "
          + "square; multiply them by a constant",
        "feature 'zero': all of its 64 values are 0.0, so that each becomes β",
        "feature 'usual': all of its 64 values are 1e-120, so that each becomes β",
      ])
  }

  @Test func `a short stream is judged at its end alone`() throws {
    var chain = try chain(["constant"])
    #expect(try run(&chain, batches: 4, of: 16) { _, _ in 2 } == [])
    #expect(chain.warnings(.underWay) == [])
    #expect(
      chain.warnings(.atEnd).map(\.description)
        == ["feature 'constant': all of its 64 values are 2.0, so that each becomes β"])
  }

  @Test func `ordinary features are not warned of, under the defaults and every preset`() throws {
    // Spread evenly over 0 to 1, in an order without a pattern.
    let values: [Double] = (0..<30 * 128).map { Double($0 * 7919 % 3847) / 3847 }
    for preset in [nil] + NormalizationPreset.allCases {
      var chain = try chain(["plain", "flag", "some gaps"]) {
        if let preset { $0 = NormalizationSettings(preset: preset) }
      }
      let events = try run(&chain, batches: 30, of: 128) { feature, record -> Double in
        let value = values[record]
        switch feature {
        case 0: return 10 * value
        case 1: return value < 0.01 ? 1 : 0
        default: return value < 0.4 ? .nan : value
        }
      }
      #expect(preset == .keras ? events.allSatisfy { $0.feature == "flag" } : events.isEmpty)
      #expect(chain.warnings(.atEnd).allSatisfy { preset == .keras && $0.feature == "flag" })
    }
  }
}
