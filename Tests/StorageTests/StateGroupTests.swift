import Records
import State
import TestSupport
import Testing

@testable import Storage

/// Files with state groups of other operators and of every scope.
struct StateGroupTests {
  private let directory: TemporaryDirectory
  private let drift = [
    StateGroup(
      "drift", scope: .featureSlots(2), columns: [.real("score", initial: 0), .count("since")]),
    StateGroup("seen", scope: .key, columns: [.count("last")]),
    StateGroup("keyed", scope: .keyFeature, columns: [.real("mean", initial: 0)]),
    StateGroup("recent", scope: .streamSlots(3), columns: [.count("version")]),
  ]
  private var known: [StateGroup] { StateReading.ofNormalizer.groups }
  private let checkpoint: Checkpoint

  init() throws {
    directory = try TemporaryDirectory()
    let sample = sampleCheckpoint()
    var state = sample.state.regrouped(to: sample.state.groups + drift)
    // One of a column, and one of two, of which one is no text.
    state.addKey(Array("JFK".utf8)[...])
    state.addKey([0xFF, RecordKey.separator, 0x41][...])
    state[real: "evenkeel.drift.score"] = [1, 2, 3, 4, 5, -0.5]
    state[count: "evenkeel.drift.since"] = [1, 2, 3, 4, 5, 6]
    state[count: "evenkeel.seen.last"] = [8, 9]
    state[real: "evenkeel.keyed.mean"] = [1, 2, 3, 4, 5, 6]
    state[count: "evenkeel.recent.version"] = [9, 4, 2]
    checkpoint = Checkpoint(state, settings: sample.settings)
  }

  @Test func `groups of every scope come back from both forms of file`() throws {
    let reading = StateReading(known + drift)
    #expect(try Checkpoint(serialized: checkpoint.serialized(), reading) == checkpoint)
    let json = try ExportFormat.json.encode(checkpoint)
    let read = try ImportFormat.json.decode(json, ImportOptions(groups: reading.groups))
    #expect(read == checkpoint)
    let text = String(decoding: json, as: UTF8.self)
    #expect(text.contains("\"keys\" : [") && text.contains("\"name\" : \"JFK\""))
  }

  @Test func `a group that the file lacks starts with its initial values`() throws {
    let read = try Checkpoint(
      serialized: sampleCheckpoint().serialized(), StateReading(known + drift))
    #expect(read.state.keyCount == 0)
    #expect(read.state[real: "evenkeel.drift.score"] == [0, 0, 0, 0, 0, 0])
    #expect(read.state.regrouped(to: known) == sampleCheckpoint().state)
  }

  @Test func `unknown state is refused, dropped or kept, as is asked`() throws {
    let bytes = try checkpoint.serialized()
    #expect(
      message { try Checkpoint(serialized: bytes, StateReading(known)) }
        == "expected state that this Evenkeel knows, found 'drift', 'seen', 'keyed' and 1 more: "
        + "read it with the version that wrote it, or drop that state (--drop-unknown-state)")
    let dropped = try Checkpoint(serialized: bytes, StateReading(known, unknown: .drop))
    #expect(dropped.state == sampleCheckpoint().state)
    let kept = try Checkpoint(serialized: bytes, StateReading(known, unknown: .keep))
    #expect(kept == checkpoint)
    #expect(try kept.serialized() == bytes)
  }

  @Test func `an unknown column of a known group is unknown state too`() throws {
    let fewer = known.map { group in
      group.name == "values"
        ? StateGroup("values", scope: .feature, columns: [group.columns[0], group.columns[2]])
        : group
    }
    let bytes = try sampleCheckpoint().serialized()
    #expect(
      message { try Checkpoint(serialized: bytes, StateReading(fewer)) }
        .contains("found 'values.clipped'"))
    let read = try Checkpoint(serialized: bytes, StateReading(fewer, unknown: .drop))
    #expect(read.state == sampleCheckpoint().state.regrouped(to: fewer))
  }

  @Test func `unknown state is no damage: an older generation does not stand in for it`() throws {
    let store = try CheckpointStore(
      directory: directory.file("s"), keep: 5, StateReading(known), in: POSIXFileSystem())
    try store.write(sampleCheckpoint())
    try store.write(checkpoint)
    #expect(message { try store.newest() }.contains("found 'drift', 'seen', 'keyed'"))
    let dropping = try CheckpointStore(
      directory: directory.file("s"), keep: 5, StateReading(known, unknown: .drop),
      in: POSIXFileSystem())
    #expect(try dropping.newest()?.checkpoint.state == sampleCheckpoint().state)
  }

  @Test func `a description that does not fit its tensors is refused, however it lies`() throws {
    func refusal(_ change: (inout Safetensors) throws -> Void) throws -> String {
      var file = try checkpoint.safetensors()
      try change(&file)
      return message { try Checkpoint(safetensors: file, StateReading(known, unknown: .keep)) }
    }
    func replacing(_ old: String, _ new: String) throws -> String {
      try refusal { file in
        let text = try #require(file.metadata[MetadataKey.state])
        #expect(text.contains(old))
        file.metadata[MetadataKey.state] = text.replacing(old, with: new)
      }
    }
    #expect(
      try replacing("feature*2", "feature*999999999999").hasPrefix(
        "tensor 'evenkeel.drift.score': expected numbers [999999999999, 3], found F64 [2, 3]"))
    #expect(
      try replacing("feature*2", "moon")
        == "state group 'drift': expected a scope such as feature, found 'moon'")
    #expect(
      try replacing("\"name\":\"drift\"", "\"name\":\"seen\"")
        == "state groups: expected names that differ, found one twice")
    #expect(
      try replacing("evenkeel.seen.last", "weight")
        == "state columns: expected names that differ, found one twice")
    #expect(
      try replacing("\"kind\":\"count\",\"name\":\"last\"", "\"kind\":\"text\",\"name\":\"last\"")
        == "state group 'seen': expected kind real or count, found 'text'")
    #expect(
      try replacing(
        "\"name\":\"moments\",\"scope\":\"feature\"", "\"name\":\"moments\",\"scope\":\"stream\"")
        == "state group 'moments': expected scope feature, found 'stream'")
    #expect(
      try refusal { $0.tensors["evenkeel.seen.last"] = .init([1, 2, 3]) }
        == "tensor 'evenkeel.seen.last': expected integers [2], found I64 [3]")
    #expect(
      try refusal { $0.metadata[MetadataKey.state] = "[{}]" }
        == "evenkeel.state: expected an array of state groups, found '[{}]'")
  }
}
