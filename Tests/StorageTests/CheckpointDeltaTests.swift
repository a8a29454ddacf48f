import Records
import State
import TestSupport
import Testing

@testable import Storage

/// Checkpoints of keys: whole ones, and deltas after them.
@Suite struct CheckpointDeltaTests: CheckpointStoreSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A stream of states with keys, each with a file.
  private struct Stream {
    var state: StateTable
    var store: CheckpointStore
    var checksum: String?
    private var step = 0
    /// The whole checkpoints, in the order in which they were written.
    private(set) var written: [Checkpoint] = []

    init(_ store: CheckpointStore) {
      self.store = store
      state = Checkpoint(features: ["a", "b"]).state
      for number in 0..<100 { state.addKey(Array("key-\(number)".utf8)[...]) }
    }

    /// Changes some keys, and writes a generation.
    mutating func write(isDelta: Bool) throws {
      step += 1
      for row in [step % 7, 40 + step] {
        state.setValues("evenkeel.keys.last", ofKey: row, to: .count([step]))
        state.setValues("evenkeel.key_moments.mean", ofKey: row, to: .real([Double(step), 1]))
        state.setValues("evenkeel.key_moments.weight", ofKey: row, to: .real([2, 2]))
      }
      state.removeKey(step)
      state.addKey(Array("new-\(step)".utf8)[...])
      let whole = Checkpoint(state)
      var checkpoint = whole
      if isDelta, let (changed, delta) = state.changes {
        checkpoint.state = changed
        checkpoint.delta = delta
      }
      checksum = try store.write(checkpoint, after: checksum).checksum
      state.startChanges()
      written.append(whole)
    }
  }

  private func deltaName(_ number: Int) -> String {
    name(number).replacing(".safetensors", with: ".delta.safetensors")
  }

  private func deltaPath(_ number: Int) -> String { stream + "/" + deltaName(number) }

  @Test func `a delta is a small file, and is read as the whole checkpoint`() throws {
    var run = Stream(try store())
    for isDelta in [false, true, true, true] {
      try run.write(isDelta: isDelta)
      let found = try #require(try store().newest())
      #expect(found.checkpoint == run.written.last && found.skipped == [])
      #expect(found.path == (isDelta ? deltaPath : path)(run.written.count))
    }
    #expect(try names == [name(1), deltaName(2), deltaName(3), deltaName(4)])
    let (small, whole) = (
      try store().byteCount(of: deltaPath(4)), try store().byteCount(of: path(1))
    )
    #expect(2 * small < whole)
    // By its path, and by its number.
    for number in 2...4 {
      #expect(try CheckpointFile.read(deltaPath(number)) == run.written[number - 1])
      let found = try CheckpointStore.checkpoint(number, in: stream, .ofNormalizer, of: files)
      #expect(found == run.written[number - 1])
    }
  }

  @Test(arguments: [1, 2])
  func `whole checkpoints are counted, and stay with their deltas`(keep: Int) throws {
    var run = Stream(try store(keep: keep))
    for isDelta in [false, true, true, false, true, false, true, true] {
      try run.write(isDelta: isDelta)
    }
    let all = [name(4), deltaName(5), name(6), deltaName(7), deltaName(8)]
    #expect(try names == (keep == 1 ? Array(all.suffix(3)) : all))
    #expect(try store().newest()?.checkpoint == run.written.last)
  }

  @Test func `a damaged file falls back to the state before it, with all deltas after it`() throws {
    var run = Stream(try store())
    for isDelta in [false, true, false, true, true, true] { try run.write(isDelta: isDelta) }
    // One in the middle is told once.
    let good = try files.contents(of: deltaPath(4), limit: 1 << 20)
    try put(Array(good.dropLast()), at: deltaPath(4))
    #expect(try store().newest()?.checkpoint == run.written[2])
    #expect(try store().newest()?.skipped.count == 1)
    try put(good, at: deltaPath(4))
    for (damaged, left) in [(6, 5), (5, 4), (4, 3), (3, 2), (2, 1)] {
      let damagedPath = damaged == 3 ? path(3) : deltaPath(damaged)
      var bytes = try files.contents(of: damagedPath, limit: 1 << 20)
      bytes[bytes.count - 3] ^= 1
      try put(bytes, at: damagedPath)
      let found = try #require(try store().newest())
      #expect(found.checkpoint == run.written[left - 1], "\(damaged)")
      let isNamed = found.skipped.contains { "\($0)".hasPrefix(damagedPath + ": damaged") }
      #expect(isNamed && found.skipped.count == 7 - damaged, "\(found.skipped)")
    }
    // The state that is left is written as a whole, and what was damaged is removed.
    let found = try #require(try store().newest())
    try store().goBack(to: found, as: found.checkpoint)
    #expect(try names == [name(1), name(7)])
    #expect(try store().newest()?.checkpoint == run.written[0])
  }

  @Test func `a delta without the checkpoint before it is damage, and told`() throws {
    var run = Stream(try store())
    for isDelta in [false, true, false, true, true] { try run.write(isDelta: isDelta) }
    try files.remove(deltaPath(4))
    let alone = "\(deltaPath(5)): evenkeel.delta: expected the checkpoint"
    #expect(message { try CheckpointFile.read(deltaPath(5)) }.hasPrefix(alone))
    #expect(try store().newest()?.checkpoint == run.written[2])
    // Under another name it has none, and bytes alone are not whole.
    let bytes = try files.contents(of: deltaPath(5), limit: 1 << 20)
    try put(bytes, at: directory.file("copy.safetensors"))
    #expect(
      message { try CheckpointFile.read(directory.file("copy.safetensors")) }
        == directory.file("copy.safetensors")
        + ": evenkeel.delta: expected the checkpoint before it in the same directory, found none")
    #expect(
      message { try Checkpoint(serialized: bytes) }
        == "evenkeel.delta: expected a whole checkpoint, found a delta")
    // Another whole checkpoint in its place is not the one before.
    try files.rename(path(3), to: stream + "/" + name(4))
    #expect(message { try CheckpointFile.read(deltaPath(5)) }.hasPrefix(alone))
  }

  @Test func `weights that all features of a key share are one number a key in the file`() throws {
    var run = Stream(try store())
    try run.write(isDelta: false)
    var file = try Safetensors(serialized: files.contents(of: path(1), limit: 1 << 20))
    #expect(file.tensors["evenkeel.key_moments.weight"]?.shape == [100])
    run.state.setValues("evenkeel.key_moments.weight", ofKey: 3, to: .real([2, 1]))
    try run.write(isDelta: false)
    file = try Safetensors(serialized: files.contents(of: path(2), limit: 1 << 20))
    #expect(file.tensors["evenkeel.key_moments.weight"]?.shape == [100, 2])
    #expect(try store().newest()?.checkpoint == run.written[1])
  }
}
