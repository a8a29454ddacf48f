import BatchNormalization
import Configuration
import Foundation
import Records
import State
import Testing

@testable import Operators

/// Normal numbers in batches, with changes that a test asks for.
struct MadeStream {
  var chain: OperatorChain
  var events: [OperatorEvent] = []
  /// Of neighbouring values of the first feature.
  var correlation = 0.0
  private let names: [String]
  private let size: Int
  private var random: UInt64
  private var last = 0.0

  init(
    _ names: [String], size: Int = 256, seed: UInt64 = 1, isLive: Bool = false,
    state: StateTable? = nil, reference: StateTable? = nil,
    _ change: (inout NormalizationSettings, inout SettingValues) -> Void = { _, _ in }
  ) throws {
    var settings = NormalizationSettings()
    var values = SettingValues()
    values[DriftSettings.watch] = .on
    if reference != nil { values[DriftSettings.referenceFile] = "reference" }
    change(&settings, &values)
    if settings.momentum == .cumulative { values[NormalizeSettings.momentum] = .cumulative }
    chain = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: FeatureSchema(names), outputPrecision: .float64, normalization: settings,
        settings: values, isLive: isLive, reference: reference), state: state)
    self.names = names
    self.size = size
    random = seed &* 0x9e37_79b9_7f4a_7c15
  }

  private mutating func unit() -> Double {
    random = random &+ 0x9e37_79b9_7f4a_7c15
    var z = random
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return (Double((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53
  }

  private mutating func normal() -> Double {
    (-2 * log(unit())).squareRoot() * cos(2 * .pi * unit())
  }

  /// Draws the numbers of so many batches.
  mutating func skip(batches: Int) { skip(records: batches * size) }

  mutating func skip(records: Int) {
    for _ in 0..<(records * names.count) { _ = (normal(), unit()) }
  }

  mutating func batch(
    shift: [Double] = [], scale: [Double] = [], missing: Double = 0, outliers: Int = 0,
    seconds: Double? = nil, shape: (Double) -> Double = { $0 }
  ) throws {
    var columns: [Double] = []
    for j in names.indices {
      for i in 0..<size {
        var value = shape(normal())
        if correlation > 0 {
          last = correlation * last + (1 - correlation * correlation).squareRoot() * value
          value = last
        }
        value = value * (scale.isEmpty ? 1 : scale[j]) + (shift.isEmpty ? 0 : shift[j])
        if i < outliers { value = 1e4 }
        columns.append(unit() < missing ? .nan : value)
      }
    }
    try operate(on: columns, size, seconds: seconds)
  }

  /// A batch of so many records, each value made of its feature, a normal number and a uniform one.
  mutating func batch(
    size: Int, keys: [String] = [],
    _ value: (_ feature: Int, _ normal: Double, _ chance: Double) -> Double
  ) throws {
    var columns: [Double] = []
    for j in names.indices {
      for _ in 0..<size { columns.append(value(j, normal(), unit())) }
    }
    try operate(on: columns, size, keys: keys)
  }

  private mutating func operate(
    on columns: [Double], _ size: Int, keys: [String] = [], seconds: Double? = nil
  ) throws {
    var block = FeatureColumns(featureCount: names.count, capacity: size, precision: .float64)
    block.count = size
    block.values = .float64(columns)
    for (record, key) in keys.enumerated() {
      var roles = RecordRoles()
      roles.key = RecordKey()
      roles.key?.set(Array(key.utf8), at: 0)
      block.setRoles(roles, of: record)
    }
    _ = try chain.operate(on: &block, elapsedSeconds: seconds)
    events += chain.takeEvents().filter { $0.kind.name.hasPrefix("drift") }
  }

  /// The charts that are not as they began, in words.
  var states: [String] {
    DriftAlarm.all(in: chain.state).filter { $0.phase != .ok || $0.alarms > 0 }
      .map { "\($0.kind.name) \($0.phase.isDrifting ? "\($0.phase)" : $0.phase.name)" }
  }

  func expect(_ expected: [String], at location: SourceLocation = #_sourceLocation) throws {
    #expect(states == expected, sourceLocation: location)
  }
}
