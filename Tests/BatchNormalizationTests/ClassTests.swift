import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// A record of a stream with classes.
struct ClassedRecord {
  /// Nil is no class.
  var name: String?
  var values: [Double]
  var weight = 1.0

  /// - Parameter names: the classes that count; empty for all.
  static func batch(_ records: [ClassedRecord], among names: [String] = []) -> FeatureColumns {
    let width = records.first?.values.count ?? 0
    var batch = makeBatch((0..<width).map { j in records.map { $0.values[j] } })
    for (index, record) in records.enumerated() {
      var roles = RecordRoles()
      roles.weight = record.weight
      var key = RecordKey()
      let counts = record.name.map { names.isEmpty || names.contains($0) } ?? false
      key.set(Array((counts ? record.name ?? "" : "").utf8), at: 0)
      (roles.key, roles.hasClass) = (key, key.isKey)
      batch.setRoles(roles, of: index)
    }
    return batch
  }

  /// Records in runs of one class, each with a mean of its own.
  static func sorted(_ names: [String], runs count: Int, _ seed: UInt64) -> [ClassedRecord] {
    var random = SeededGenerator(seed: seed)
    return names.enumerated().flatMap { index, name in
      (0..<count).map { _ in
        ClassedRecord(
          name: name,
          values: (0..<2).map { j in Double(100 * j + 10 * index) + random.deviate() })
      }
    }
  }
}

func classSettings(
  _ shares: [ClassShare] = [], _ change: (inout NormalizationSettings) -> Void = { _ in }
) -> NormalizationSettings {
  var settings = NormalizationSettings()
  settings.momentum = .cumulative
  settings.warmUp.records = 0
  settings.classes = ClassSettings(column: "label", shares: shares)
  change(&settings)
  return settings
}

struct ClassTests {
  private static func run(
    _ records: [ClassedRecord], _ settings: NormalizationSettings, size: Int = 25
  ) throws -> NormalizerRun {
    var run = try makeNormalizer(features: 2, settings)
    for start in stride(from: 0, to: records.count, by: size) {
      var batch = ClassedRecord.batch(
        Array(records[start..<min(start + size, records.count)]),
        among: settings.classes?.shares.map(\.name) ?? [])
      _ = try run.normalize(&batch)
    }
    return run
  }

  @Test func `one class is as no class`() throws {
    let records = ClassedRecord.sorted(["only"], runs: 300, 4)
    let classed = try Self.run(records, classSettings())
    let plain = try Self.run(records, classSettings { $0.classes = nil })
    for j in 0..<2 {
      #expect(agree(classed.state.running.mean[j], plain.state.running.mean[j], 1e-13))
      #expect(agree(classed.state.running.variance[j], plain.state.running.variance[j], 1e-12))
    }
    #expect(classed.state.running.values == plain.state.running.values)
  }

  @Test func `a class counts by its prior, however many records it has and in whatever order`()
    throws
  {
    let few = ClassedRecord.sorted(["a", "b"], runs: 40, 6)
    let many = ClassedRecord.sorted(["a"], runs: 2000, 7)
    let order = [few + many, many + few, Array((many + few).reversed())]
    let settings = classSettings([
      ClassShare(name: "a", share: 1), ClassShare(name: "b", share: 3),
    ])
    let found = try order.map { try Self.run($0, settings).state.running }
    for each in found {
      #expect(abs(each.mean[0] - 7.5) < 0.3 && abs(each.mean[1] - 107.5) < 0.3, "\(each.mean)")
      // The variance within is 1, and that between is 3/16 of 10².
      #expect(abs(each.variance[0] - 19.75) < 1, "\(each.variance)")
      #expect(agree(each.mean[0], found[0].mean[0], 1e-12))
    }
    let balanced = try Self.run(order[0], classSettings()).state.running
    #expect(abs(balanced.mean[0] - 5) < 0.3 && abs(balanced.variance[0] - 26) < 1)
    // Without classes the mean follows the class that came last.
    let plain = try Self.run(
      many + few, classSettings { ($0.classes, $0.momentum) = (nil, .halfLifeRecords(20)) })
    #expect(plain.state.running.mean[0] > 7)
    let held = try Self.run(many + few, classSettings { $0.momentum = .halfLifeRecords(20) })
    #expect(abs(held.state.running.mean[0] - 5) < 0.6)
  }

  @Test func `a record without a class that counts is normalised and moves nothing`() throws {
    let records = ClassedRecord.sorted(["a", "b"], runs: 50, 8)
    let shares = [ClassShare(name: "a", share: 1), ClassShare(name: "b", share: 1)]
    var others = records
    for (place, name) in [nil, "c", "", String(repeating: "x", count: 257)].enumerated() {
      others.insert(ClassedRecord(name: name, values: [1e6, -1e6]), at: 13 * place + 5)
    }
    let with = try Self.run(others, classSettings(shares), size: 104)
    let without = try Self.run(records, classSettings(shares), size: 100)
    #expect(with.state.running.mean == without.state.running.mean)
    #expect(with.state.running.variance == without.state.running.variance)
    #expect(with.state.running.values == [100, 100])
    #expect(with.state[count: "evenkeel.key_counts.unusable"] == [4])
    #expect(with.state.keyNames == ["a", "b"])
    var run = with
    var batch = ClassedRecord.batch([ClassedRecord(name: "c", values: [5, 105])], among: ["a"])
    _ = try run.normalize(&batch)
    #expect(abs(batch.column(0)[0]) < 0.2 && abs(batch.column(1)[0]) < 0.2)
    #expect(run.state.running.mean == with.state.running.mean)
  }

  @Test func `all records of a batch are normalised by the mixture before it`() throws {
    let records = ClassedRecord.sorted(["a", "b", "c"], runs: 60, 9)
    var run = try Self.run(records, classSettings())
    let (mean, variance) = (run.state.running.mean, run.state.running.variance)
    var batch = ClassedRecord.batch(Array(records.suffix(20)))
    let x = batch.column(1)
    _ = try run.normalize(&batch)
    for (y, x) in zip(batch.column(1), x) {
      #expect(agree(y, (x - mean[1]) / (variance[1] * (1 + 1e-5)).squareRoot(), 1e-12))
    }
  }

  @Test func `a run that goes on gives the same bits, and shards merge to one run`() throws {
    let records = ClassedRecord.sorted(["a", "b", "c"], runs: 70, 10)
    let settings = classSettings([
      ClassShare(name: "a", share: 0.2), ClassShare(name: "b", share: 0.5),
      ClassShare(name: "c", share: 0.3),
    ])
    let whole = try Self.run(records, settings)
    let names = ["a", "b", "c"]
    var (first, again) = (
      try Self.run(Array(records.prefix(100)), settings), try Self.run([], settings)
    )
    again = try makeNormalizer(features: 2, settings, state: first.state)
    for start in stride(from: 100, to: 210, by: 10) {
      var left = ClassedRecord.batch(Array(records[start..<start + 10]), among: names)
      var right = left
      _ = try first.normalize(&left)
      _ = try again.normalize(&right)
      #expect(left.bits == right.bits && first.state == again.state)
    }
    let shards = (0..<3).map { shard in
      records.enumerated().filter { $0.offset % 3 == shard }.map(\.element)
    }
    var merged = try Self.run(shards[2], settings).state
    try merged.merge(Self.run(shards[0], settings).state)
    try merged.merge(Self.run(shards[1], settings).state)
    let classes = try #require(settings.classes)
    merged.mixClasses(classes)
    for j in 0..<2 {
      #expect(agree(merged.running.mean[j], whole.state.running.mean[j], 1e-12))
      #expect(agree(merged.running.variance[j], whole.state.running.variance[j], 1e-12))
    }
  }

  @Test func `equal values are a constant, whatever their classes`() throws {
    let records = ["a", "b", "a", "c"].map { ClassedRecord(name: $0, values: [0.1, 1e9]) }
    let run = try Self.run(records, classSettings(), size: 1)
    #expect(run.state.running.mean == [0.1, 1e9] && run.state.running.variance == [0, 0])
  }

  @Test func `a class that is forgotten counts no more, and without any nothing is left`() throws {
    let records = ClassedRecord.sorted(["a", "b"], runs: 50, 11)
    let run = try Self.run(records, classSettings())
    var (normalizer, state) = (run.normalizer, run.state)
    #expect(normalizer.resetKeys([Array("a".utf8), Array("z".utf8)], in: &state) == 1)
    #expect(abs(state.running.mean[0] - 10) < 0.6 && abs(state.running.variance[0] - 1) < 0.6)
    #expect(normalizer.resetKeys([Array("b".utf8)], in: &state) == 1)
    #expect(state.running == (try freshState(FeatureSchema.unnamed(count: 2))).running)
    _ = try makeNormalizer(features: 2, classSettings(), state: state)
  }

  @Test func `moments without those of classes are refused, unless they are frozen`() throws {
    let records = ClassedRecord.sorted(["a", "b"], runs: 50, 12)
    let plain = try Self.run(records, classSettings { $0.classes = nil })
    let error = #expect(throws: NormalizationError.self) {
      try makeNormalizer(features: 2, classSettings(), state: plain.state)
    }
    #expect(
      "\(String(describing: error))".contains("expected the moments of classes beside those of"),
      "\(String(describing: error))")
    _ = try makeNormalizer(features: 2, classSettings { $0.isFrozen = true }, state: plain.state)
    var classed = try Self.run(records, classSettings())
    #expect(throws: NormalizationError.self) {
      try classed.replaceSettings(classSettings { $0.mode = .batch })
    }
  }
}
