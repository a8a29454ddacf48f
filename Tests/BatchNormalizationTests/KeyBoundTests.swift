import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// The keys that a stream keeps, and settings that are refused.
struct KeyBoundTests {
  @Test func `the keys that were used last stay, whatever the batches`() throws {
    var random = SeededGenerator(seed: 4)
    let records = KeyedRecord.made(800, keys: 40, 6)
    var run = try makeNormalizer(features: 2, keySettings(.cumulative) { $0.key?.most = 12 })
    var start = 0
    while start < records.count {
      let end = min(start + Int.random(in: 1...60, using: &random), records.count)
      var batch = KeyedRecord.batch(records[start..<end])
      _ = try run.normalize(&batch)
      start = end
      var newest: [String] = []
      for record in records[..<end].reversed() {
        if let key = record.key, !newest.contains(key), newest.count < 12 { newest.append(key) }
      }
      #expect(Set(run.state.keyNames) == Set(newest), "after \(end) records")
      try run.state.validate()
    }
    #expect(run.state[count: "evenkeel.key_counts.evicted"][0] > 100)
  }

  @Test func `a key that had no record for too long is new again`() throws {
    func record(_ key: String, _ x: Double, _ time: Int) -> KeyedRecord {
      KeyedRecord(key: key, values: [x], time: 1_700_000_000 + time)
    }
    var run = try makeNormalizer(
      keySettings(.cumulative) { $0.key?.idleSeconds = 100 })
    func normalize(_ records: [KeyedRecord]) throws -> FeatureColumns {
      var batch = KeyedRecord.batch(records, timed: true)
      _ = try run.normalize(&batch)
      return batch
    }
    _ = try normalize([record("a", 1, 0), record("b", 5, 0), record("a", 3, 90)])
    #expect(Set(run.state.keyNames) == ["a", "b"])
    // At 150, b is as old as 150 s.
    _ = try normalize([record("a", 2, 150)])
    #expect(run.state.keyNames == ["a"])
    #expect(run.state[count: "evenkeel.key_counts.expired"] == [1])
    _ = try normalize([record("b", 7, 160)])
    let row = try #require(run.state.row(ofKey: Array("b".utf8)))
    #expect(run.state[real: "evenkeel.key_moments.weight"][row] == 1)
  }

  @Test func `a gap that one batch bridges makes its key new`() throws {
    for others in [false, true] {
      var run = try makeNormalizer(keySettings(.cumulative) { $0.key?.idleSeconds = 100 })
      for (x, time) in [(1.0, 0), (3, 50), (9, 1000), (11, 1010)] {
        var records = [KeyedRecord(key: "a", values: [x], time: 1_700_000_000 + time)]
        if others {
          records.insert(
            KeyedRecord(key: "b", values: [0], time: 1_700_000_000 + time), at: 0)
        }
        var batch = KeyedRecord.batch(records, timed: true)
        _ = try run.normalize(&batch)
      }
      let row = try #require(run.state.row(ofKey: Array("a".utf8)))
      #expect(run.state[real: "evenkeel.key_moments.weight"][row] == 2)
      #expect(run.state[real: "evenkeel.key_moments.mean"][row] == 10)
      #expect(run.state[count: "evenkeel.key_counts.expired"] == [others ? 2 : 1])
      try run.state.validate()
    }
  }

  @Test func `keys are reset alone or all`() throws {
    var run = try makeNormalizer(features: 2, keySettings(.cumulative))
    var batch = KeyedRecord.batch(KeyedRecord.made(100, keys: 4, 1))
    _ = try run.normalize(&batch)
    #expect(Set(run.state.keyNames) == ["k0", "k1", "k2", "k3"])
    let names = ["k2", "other"].map { Array($0.utf8) }
    #expect(run.normalizer.resetKeys(names, in: &run.state) == 1)
    #expect(Set(run.state.keyNames) == ["k0", "k1", "k3"])
    run.resetMoments()
    #expect(run.state.keyNames == [])
    batch = KeyedRecord.batch(KeyedRecord.made(100, keys: 4, 2))
    _ = try run.normalize(&batch)
    #expect(run.state.keyCount == 4)
    var plain = try makeNormalizer(keySettings(.cumulative) { $0.key = nil })
    #expect(plain.normalizer.resetKeys(names, in: &plain.state) == nil)
  }

  @Test func `settings that do not fit the stream are refused`() throws {
    #expect(throws: NormalizationError.self) {
      try makeNormalizer(keySettings(.cumulative) { $0.key?.features = [FeaturePattern("other")] })
    }
    #expect(throws: NormalizationError.self) {
      try makeNormalizer(features: 4, keySettings(.cumulative) { $0.key?.most = 1 << 26 })
    }
  }

  @Test func `a key is the bytes of its columns, in the order of the setting`() throws {
    func key(_ values: (String, Int)...) -> RecordKey {
      var key = RecordKey()
      for (value, place) in values { key.set(Array(value.utf8), at: place) }
      return key
    }
    #expect(key(("a", 0), ("b", 1)) == key(("b", 1), ("a", 0)))
    #expect(key(("a", 0), ("b", 1)) != key(("ab", 0), ("", 1)))
    #expect(RecordKey.bytes(of: [Array("a".utf8), Array("b".utf8)]) == [0x61, 0x1F, 0x62])
    #expect(RecordKey.bytes(of: [Array(repeating: 0x61, count: 256)])?.count == 256)
    for values in [[[]], [[0x1F]], [Array(repeating: 0x61, count: 257)], [[0x61], []]]
      as [[[UInt8]]]
    {
      #expect(RecordKey.bytes(of: values) == nil, "\(values)")
    }
    #expect(RecordKey.text(of: [0x61, 0x1F, 0x62]) == "a,b")
  }
}
