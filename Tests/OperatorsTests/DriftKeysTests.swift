import BatchNormalization
import Configuration
import Foundation
import Records
import State
import Testing

@testable import Operators

/// The chart of the share of keys that are away from their own moments.
struct DriftKeysTests {
  private static let keys = 100

  private func stream(
    seed: UInt64 = 1, wanted: Double = 10_000, state: StateTable? = nil,
    _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) throws -> MadeStream {
    try MadeStream(["a", "b"], seed: seed, state: state) { settings, values in
      settings.key = KeySettings(columns: ["key"])
      settings.warmUp.records = 0
      values[DriftSettings.falseAlarms] = .perBatches(wanted)
      change(&settings)
    }
  }

  /// A batch in which each key has two values of each feature, about levels of its own. Some of the keys have moved in the
  /// second feature, up and down, so that the mean of all stays.
  private func batch(_ stream: inout MadeStream, keys: Int = Self.keys, moved: Int = 0) throws {
    let names = (0..<2 * keys).map { "k\($0 % keys)" }
    var record = 0
    try stream.batch(size: 2 * keys, keys: names) { feature, normal, _ in
      let key = record % keys
      record += 1
      let shift = feature == 1 && key < moved ? (key % 2 == 0 ? 3.0 : -3.0) : 0
      return 10 * Double(key % 7) + normal + shift
    }
  }

  private func alarms(_ stream: MadeStream) -> [String] {
    stream.events.filter { $0.fields["kind"] == .text("keys") && $0.kind.name == "drift" }
      .compactMap(\.feature)
  }

  @Test func `one key of many is no alarm, half of them are`() throws {
    var stream = try stream(wanted: 1e6) { $0.momentum = .halfLifeRecords(200) }
    for _ in 0..<300 { try batch(&stream) }
    #expect(stream.events == [])
    for _ in 0..<60 { try batch(&stream, moved: 1) }
    #expect(alarms(stream) == [])
    for index in 0..<5 where alarms(stream) == [] || index < 1 {
      try batch(&stream, moved: Self.keys / 2)
    }
    #expect(alarms(stream) == ["b"])
    let event = try #require(stream.events.first { $0.fields["kind"] == .text("keys") })
    guard case .count(let since)? = event.fields["since_batch"] else {
      Issue.record("no batch")
      return
    }
    // Chance may have begun it a little earlier.
    #expect((350...361).contains(since), "\(event.text)")
    #expect(event.text.contains("of its keys are away from their own moments"))
    // The keys follow, and then none is away any longer.
    for _ in 0..<800 { try batch(&stream, moved: Self.keys / 2) }
    let chart = DriftAlarm.each(.keys, in: stream.chain.state)[1]
    #expect(chart?.phase.isDrifting == false, "\(String(describing: chart))")
  }

  @Test func `a stream of keys that do not drift alarms about as often as wanted`() throws {
    var count = 0
    for seed in 0..<4 {
      var stream = try stream(seed: UInt64(seed), wanted: 200)
      for _ in 0..<1000 { try batch(&stream, keys: 40) }
      count += stream.events.count { $0.kind.name == "drift" }
    }
    // 18 are wanted.
    #expect((6...40).contains(count), "\(count)")
  }

  @Test func `few keys wait for more, and a stored state goes on alike`() throws {
    var whole = try stream()
    var states: [StateTable] = []
    for index in 0..<400 {
      states.append(whole.chain.state)
      try batch(&whole, keys: 12, moved: index > 330 ? 12 : 0)
    }
    #expect(alarms(whole).contains("b"))
    let columns = DriftColumns(in: whole.chain.state)
    #expect(states.contains { $0[columns.keysJudged][0] > 0 })
    for start in [20, 251, 333] {
      var rest = try stream(state: states[start])
      rest.skip(records: start * 24)
      for index in start..<400 { try batch(&rest, keys: 12, moved: index > 330 ? 12 : 0) }
      let told = whole.events.filter { event in
        guard case .count(let batch)? = event.fields["batch"] else { return false }
        return batch > start
      }
      #expect(rest.events == told && rest.chain.state == whole.chain.state, "\(start)")
    }
  }

  @Test func `keys with few values are not judged, and without keys there is no chart`() throws {
    var young = try stream()
    for _ in 0..<15 { try batch(&young) }
    #expect(DriftAlarm.each(.keys, in: young.chain.state).allSatisfy { $0 == nil })
    for _ in 0..<3 { try batch(&young) }
    #expect(DriftAlarm.each(.keys, in: young.chain.state).allSatisfy { $0 != nil })
    var plain = try MadeStream(["a", "b"])
    for _ in 0..<50 { try plain.batch() }
    #expect(DriftAlarm.each(.keys, in: plain.chain.state).allSatisfy { $0 == nil })
  }

  @Test func `frozen moments of keys are compared with`() throws {
    var training = try stream()
    for _ in 0..<30 { try batch(&training) }
    var frozen = try stream(state: training.chain.state) { $0.isFrozen = true }
    for _ in 0..<150 { try batch(&frozen) }
    #expect(alarms(frozen) == [])
    for _ in 0..<5 { try batch(&frozen, moved: Self.keys / 2) }
    #expect(alarms(frozen) == ["b"])
  }

  @Test func `the charts of an earlier version stay, which had no slot for keys`() throws {
    var stream = try MadeStream(["a", "b"])
    for _ in 0..<150 { try stream.batch() }
    let state = stream.chain.state
    let groups = state.groups.filter { $0.name != "drift_keys" }.map { group in
      guard group.name == "drift_charts" else { return group }
      return StateGroup(group.name, scope: .featureSlots(5), columns: group.columns)
    }
    var earlier = StateTable(groups, features: state.features)
    for column in groups.flatMap(\.columns) {
      switch (state[column.fileName], earlier[column.fileName]) {
      case (.real(let values), .real(let own)):
        earlier[real: column.fileName] = Array(values.prefix(own.count))
      case (.count(let values), .count(let own)):
        earlier[count: column.fileName] = Array(values.prefix(own.count))
      default: Issue.record("\(column.fileName)")
      }
    }
    #expect(try MadeStream(["a", "b"], state: earlier).chain.state == state)
  }
}
