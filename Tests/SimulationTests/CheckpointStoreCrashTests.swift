import Storage
import TestSupport
import Testing

@Suite struct CheckpointStoreCrashTests {
  private static let directory = "/state/stream"

  private func checkpoint(_ number: Int) -> Checkpoint {
    var checkpoint = Checkpoint(features: ["a"])
    checkpoint.batchesTracked = number
    return checkpoint
  }

  private func newest(_ disk: SimulatedFileSystem) throws -> Int? {
    try CheckpointStore.newest(in: Self.directory, of: disk)?.checkpoint.batchesTracked
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the newest checkpoint of a store is also the newest after a crash`(seed: UInt64) throws {
    let disk = SimulatedFileSystem(seed: seed)
    let store = try CheckpointStore(directory: Self.directory, keep: 2, in: disk)
    try store.write(checkpoint(1))
    disk.defect = (.directorySyncDoesNothing, Self.directory)
    try store.write(checkpoint(2))
    disk.defect = nil
    // The next process sees the name although its sync failed.
    _ = try CheckpointStore(directory: Self.directory, keep: 2, in: disk)
    #expect(try newest(disk) == 2)
    disk.reboot()
    #expect(try newest(disk) == 2)
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `a crash within a write leaves the old generation or the new one`(seed: UInt64) throws {
    let disk = SimulatedFileSystem(seed: seed)
    let store = try CheckpointStore(directory: Self.directory, keep: 1, in: disk)
    try store.write(checkpoint(1))
    disk.operationsToCrash = 1 + Int(seed) % 12
    let hasWritten = (try? store.write(checkpoint(2))) != nil
    disk.reboot()
    let found = try #require(try newest(disk))
    #expect(hasWritten ? found == 2 : found <= 2, "seed \(seed)")
  }
}
