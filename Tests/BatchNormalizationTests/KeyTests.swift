import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// A record of a stream with keys.
struct KeyedRecord {
  /// Nil is no usable key.
  var key: String?
  var values: [Double]
  var weight = 1.0
  /// In whole seconds since 1970.
  var time = 0

  static func batch(_ records: some Collection<KeyedRecord>, timed: Bool = false) -> FeatureColumns
  {
    let records = Array(records)
    let width = records.first?.values.count ?? 0
    var batch = makeBatch((0..<width).map { j in records.map { $0.values[j] } })
    for (index, record) in records.enumerated() {
      var roles = RecordRoles()
      roles.weight = record.weight
      if timed { roles.time = Int64(record.time) * 1_000_000_000 }
      var key = RecordKey()
      key.set(Array((record.key ?? "").utf8), at: 0)
      roles.key = key
      batch.setRoles(roles, of: index)
    }
    return batch
  }

  /// Records of some keys, each with a mean of its own; some lack a value or a key.
  static func made(_ count: Int, keys: Int, _ seed: UInt64) -> [KeyedRecord] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { index in
      let key = Int.random(in: 0..<keys, using: &random)
      return KeyedRecord(
        key: random.once(in: 20) ? nil : "k\(key)",
        values: (0..<2).map { j in
          random.once(in: 10) ? .nan : Double(100 * j + 3 * key) + random.deviate()
        },
        weight: Double(Int.random(in: 0...2, using: &random)) / 2,
        time: 1_700_000_000 + 60 * index - (random.once(in: 6) ? 500 : 0))
    }
  }
}

func keySettings(
  _ momentum: Momentum, prior: Double = 5,
  _ change: (inout NormalizationSettings) -> Void = { _ in }
) -> NormalizationSettings {
  var settings = NormalizationSettings()
  settings.momentum = momentum
  settings.key = KeySettings(columns: ["key"])
  settings.key?.prior = prior
  settings.warmUp.records = 0
  change(&settings)
  return settings
}

extension StateTable {
  var keyNames: [String] {
    (0..<keyCount).map { String(decoding: keys[$0], as: UTF8.self) }
  }
}

struct KeyTests {
  /// n, μ and σ² of a feature by one key, from all its values.
  private static func moments(
    _ values: [(x: Double, weight: Double, time: Int)], _ momentum: Momentum, newest: Int
  ) -> (weight: Double, mean: Double, variance: Double) {
    var weighed: [(x: Double, weight: Double)] = []
    var later = 0.0
    for value in values.reversed() {
      let weight =
        switch momentum {
        case .halfLifeRecords(let halfLife):
          pow(2, -later / halfLife) * (1 - pow(2, -value.weight / halfLife))
            / (1 - pow(2, -1 / halfLife))
        case .halfLifeEventTime(let halfLife):
          value.weight * pow(2, Double(value.time - newest) / halfLife)
        default: value.weight
        }
      later += value.weight
      weighed.append((value.x, weight))
    }
    let total = weighed.map(\.weight).reduce(0, +)
    guard total > 0, let origin = weighed.first?.x else { return (0, 0, 0) }
    let mean = weighed.map { $0.weight * ($0.x - origin) }.reduce(0, +) / total
    let squares = weighed.map { $0.weight * pow($0.x - origin - mean, 2) }.reduce(0, +)
    return (total, origin + mean, squares / total)
  }

  @Test(
    arguments: [
      Momentum.cumulative, .halfLifeRecords(30), .halfLifeEventTime(3600),
    ], [0.0, 5])
  func `a record is normalised by its key's moments merged with those of all`(
    momentum: Momentum, prior: Double
  ) throws {
    let records = KeyedRecord.made(600, keys: 7, 3)
    let timed = momentum.eventHalfLife != nil
    var run = try makeNormalizer(features: 2, keySettings(momentum, prior: prior))
    var random = SeededGenerator(seed: 5)
    var start = 0
    var compared = 0
    while start < records.count {
      let end = min(start + Int.random(in: 1...40, using: &random), records.count)
      let earlier = records[..<start]
      let newest = earlier.map(\.time).max() ?? 0
      let (mean, variance) = (run.state.running.mean, run.state.running.variance)
      var batch = KeyedRecord.batch(records[start..<end], timed: timed)
      _ = try run.normalize(&batch)
      for (index, record) in records[start..<end].enumerated() where start > 0 {
        for j in 0..<2 where !record.values[j].isNaN {
          var own = (weight: 0.0, mean: 0.0, variance: 0.0)
          if let key = record.key {
            let values = earlier.filter { $0.key == key && !$0.values[j].isNaN }
              .map { (x: $0.values[j], weight: $0.weight, time: $0.time) }
            own = Self.moments(values, momentum, newest: newest)
          }
          let share = own.weight > 0 ? own.weight / (own.weight + prior) : 0
          let distance: Double = own.mean - mean[j]
          let center: Double = mean[j] + share * distance
          let within: Double = share * own.variance + (1 - share) * variance[j]
          let spread: Double = within + share * (1 - share) * distance * distance
          guard spread > 1e-6, variance[j] > 0 else { continue }
          let expected = (record.values[j] - center) / (spread * (1 + 1e-5)).squareRoot()
          #expect(
            agree(batch.column(j)[index], min(max(expected, -100), 100), 1e-11, scale: 10),
            "record \(start + index), feature \(j)")
          compared += 1
        }
      }
      start = end
    }
    #expect(compared > 900)
  }

  @Test(arguments: [(Momentum.cumulative, 40), (.cumulative, 1), (.halfLifeRecords(25), 1)])
  func `one key without a prior is as no key`(momentum: Momentum, size: Int) throws {
    let records = KeyedRecord.made(300, keys: 1, 9).map { record in
      var record = record
      record.key = "only"
      return record
    }
    var keyed = try makeNormalizer(
      features: 2, keySettings(momentum, prior: 0) { $0.warmUp.records = 32 })
    var plain = try makeNormalizer(
      features: 2, keySettings(momentum) { ($0.key, $0.warmUp.records) = (nil, 32) })
    for start in stride(from: 0, to: records.count, by: size) {
      var left = KeyedRecord.batch(records[start..<min(start + size, records.count)])
      var right = left
      _ = try keyed.normalize(&left)
      _ = try plain.normalize(&right)
      for j in 0..<2 {
        for (a, b) in zip(left.column(j), right.column(j)) {
          #expect(a.isNaN && b.isNaN || agree(a, b, 1e-12, scale: 1))
        }
      }
    }
    #expect(keyed.state.running == plain.state.running)
  }

  @Test func `a record of no known key is normalised by the moments of all, to the bit`() throws {
    let records = KeyedRecord.made(200, keys: 5, 2)
    var keyed = try makeNormalizer(features: 2, keySettings(.halfLifeRecords(100)))
    var plain = try makeNormalizer(features: 2, keySettings(.halfLifeRecords(100)) { $0.key = nil })
    for run in 0..<2 {
      var left = KeyedRecord.batch(records)
      if run == 1 {
        left = KeyedRecord.batch(
          records.map { record in
            var record = record
            record.key = record.key.map { "new-" + $0 }
            return record
          })
      }
      var right = left
      _ = try keyed.normalize(&left)
      _ = try plain.normalize(&right)
      #expect(left.bits == right.bits)
    }
    #expect(keyed.state.running == plain.state.running)
    let unusable = records.filter { $0.key == nil }.count
    #expect(keyed.state[count: "evenkeel.key_counts.unusable"] == [2 * unusable])
    #expect(keyed.state[count: "evenkeel.key_counts.unknown"] == [2 * (200 - unusable)])
  }

  @Test func `a run that goes on from its state gives the same bits`() throws {
    let records = KeyedRecord.made(900, keys: 30, 8)
    let chosen = keySettings(.halfLifeEventTime(7200)) {
      $0.key?.most = 20
      $0.key?.idleSeconds = 20_000
    }
    var run = try makeNormalizer(features: 2, chosen)
    for start in stride(from: 0, to: 900, by: 30) {
      var again = try makeNormalizer(features: 2, chosen, state: run.state)
      var left = KeyedRecord.batch(records[start..<start + 30], timed: true)
      var right = left
      _ = try run.normalize(&left)
      _ = try again.normalize(&right)
      #expect(left.bits == right.bits && run.state == again.state)
    }
  }

  @Test func `segments of a batch leave as the batch would, and move the moments once`() throws {
    let records = KeyedRecord.made(300, keys: 6, 1)
    var (whole, parted) = (
      try makeNormalizer(features: 2, keySettings(.cumulative)),
      try makeNormalizer(features: 2, keySettings(.cumulative))
    )
    for start in stride(from: 0, to: 300, by: 50) {
      let batch = records[start..<start + 50]
      var left = KeyedRecord.batch(batch)
      _ = try whole.normalize(&left)
      var y: [[Double]] = [[], []]
      for part in [batch.prefix(20), batch.dropFirst(20)] {
        var columns = KeyedRecord.batch(part)
        _ = try parted.normalize(&columns, as: .part)
        for j in 0..<2 { y[j] += columns.column(j) }
      }
      try parted.absorb(KeyedRecord.batch(batch))
      for j in 0..<2 where start > 0 {
        #expect(y[j].map(\.bitPattern) == left.column(j).map(\.bitPattern))
      }
      #expect(
        whole.state[real: "evenkeel.key_moments.mean"]
          == parted.state[real: "evenkeel.key_moments.mean"])
      #expect(whole.state == parted.state)
    }
  }

  @Test func `shards by record merge to the moments of one run`() throws {
    let records = KeyedRecord.made(400, keys: 9, 7)
    for momentum in [Momentum.cumulative, .halfLifeEventTime(5000)] {
      func state(_ records: [KeyedRecord]) throws -> StateTable {
        var run = try makeNormalizer(features: 2, keySettings(momentum))
        for start in stride(from: 0, to: records.count, by: 25) {
          var batch = KeyedRecord.batch(
            records[start..<min(start + 25, records.count)], timed: true)
          _ = try run.normalize(&batch)
        }
        return run.state
      }
      let whole = try state(records)
      var merged = try state(records.enumerated().filter { $0.offset % 3 == 0 }.map(\.element))
      try merged.merge(state(records.enumerated().filter { $0.offset % 3 != 0 }.map(\.element)))
      let arranged = merged.arranged(by: whole.keys)
      for column in ["weight", "mean", "variance"] {
        let name = "evenkeel.key_moments.\(column)"
        for (a, b) in zip(arranged[real: name], whole[real: name]) {
          #expect(agree(a, b, 1e-11, scale: 10), "\(column), \(momentum)")
        }
      }
    }
  }

  @Test func `only some features have keys, and a clip, an offset and a scale hold for them`()
    throws
  {
    let records = KeyedRecord.made(300, keys: 3, 12)
    for parts in [TransformParts.both, .center, .scale] {
      let chosen = keySettings(.cumulative) {
        $0.key?.features = [FeaturePattern("f1")]
        $0.clip = parts == .both ? 1 : nil
        $0.parts = parts
        $0.imputesMissing = true
      }
      let names = ["f0", "f1"]
      var keyed = try makeNormalizer(features: 2, chosen, state: freshState(names))
      var plain = try makeNormalizer(
        features: 2,
        keySettings(.cumulative) { (changed) in
          changed = chosen
          changed.key = nil
        }, state: freshState(names))
      for start in [0, 150] {
        var left = KeyedRecord.batch(records[start..<start + 150])
        let x = left.column(1)
        let (mean, variance) = (
          keyed.state.row(ofKey: Array("k1".utf8)).map {
            keyed.state[real: "evenkeel.key_moments.mean"][2 * $0 + 1]
          }, keyed.state[real: "evenkeel.key_moments.variance"]
        )
        var right = left
        _ = try keyed.normalize(&left)
        _ = try plain.normalize(&right)
        #expect(left.column(0) == right.column(0))
        #expect(left.column(1).allSatisfy { !$0.isNaN })
        guard start > 0, let mean, !variance.isEmpty else { continue }
        #expect(left.column(1) != right.column(1))
        if parts == .both {
          #expect(left.column(1).allSatisfy { abs($0) <= 1 })
          #expect(keyed.state[count: "evenkeel.values.clipped"][1] > 0)
        }
        // A missing value is taken as the mean of its key.
        for (index, record) in records[150...].enumerated()
        where x[index].isNaN && record.key == "k1" && parts != .scale {
          #expect(left.column(1)[index] == 0, "\(mean)")
        }
      }
    }
  }
}
