import Records
import Storage
import Testing

@testable import Connectors

/// Directories of many files, and directories whose events were lost.
@Suite struct DirectoryCostTests {
  private let directory = MadeDirectory()

  private func open(done: Set<UInt64> = []) throws -> SourceDriver {
    var context = SourceContext(ConnectorContext(fileSystem: directory))
    if !done.isEmpty { context.cursor = InputCursor(done: OpaqueBytes()) }
    context.doneSplits = done
    return SourceDriver(try DirectorySource(directory.path, in: context), capacity: 64)
  }

  /// Names of one length, in their order.
  private func name(_ number: Int) -> String { "\(1_000_000 + number)" }

  /// Reads `count` files to their ends, as a stream does.
  private mutating func read(_ count: Int, from source: inout SourceDriver) throws {
    var left = count
    while left > 0 {
      guard case .ended(let split) = try source.read().read else { continue }
      try source.source.finish(split)
      left -= 1
    }
  }

  @Test mutating func `each of 100,000 files costs the same, and so does a checkpoint`() throws {
    for number in 0..<100_000 { directory.put(name(number), "1\n") }
    var source = try open()
    // Each name is found by the one list.
    #expect(directory.takeUses() == .init(status: 0, open: 0, list: 1))
    var hashes: Set<UInt64> = []
    for _ in 0..<10 {
      try read(10_000, from: &source)
      // Before a file is read and after it is done.
      #expect(directory.takeUses() == .init(status: 20_000, open: 10_000, list: 0))
      let changes = source.source.takeDoneChanges()
      #expect(changes.added.count == 10_000 && changes.removed.isEmpty)
      hashes.formUnion(changes.added)
    }
    #expect(hashes.count == 100_000, "two files with one hash")
    #expect(try source.drain() == [])
    #expect(try source.cursor().splits.isEmpty)
    // One more file costs as much as the first.
    directory.put(name(500) + "a", "late\n")
    directory.report(.closedAfterWriting, name(500) + "a")
    #expect(try source.drain() == ["100000:late\n", "100000 ended"])
    try source.finish()
    #expect(directory.takeUses() == .init(status: 2, open: 1, list: 0))
    #expect(source.source.takeDoneChanges().added.count == 1)
  }

  @Test func `a restart looks at each file once, and opens none that is done`() throws {
    for number in 0..<1000 { directory.put(name(number), "1\n") }
    var first = try open()
    #expect(try first.drain().count == 2000)
    try first.finish()
    let done = first.source.takeDoneChanges().added
    directory.put("late", "2\n")
    _ = directory.takeUses()
    var second = try open(done: done)
    #expect(directory.takeUses() == .init(status: 1001, open: 0, list: 1))
    #expect(try second.drain() == ["0:2\n", "0 ended"])
    #expect(directory.takeUses() == .init(status: 1, open: 1, list: 0))
    #expect(second.source.takeDoneChanges().isEmpty)
  }

  @Test func `a name that was replaced while events were lost is read again, others are not`()
    throws
  {
    for name in ["a", "b", "c"] { directory.put(name, "old \(name)\n") }
    var source = try open()
    #expect(try source.drain().count == 6)
    try source.finish()
    let old = source.source.takeDoneChanges().added
    directory.put("b", "new b\n")
    directory.put("d", "new d\n")
    directory.drop("c")
    directory.report(.overflow)
    #expect(try source.drain() == ["3:new b\n", "3 ended", "4:new d\n", "4 ended"])
    try source.finish()
    let changes = source.source.takeDoneChanges()
    // The old b and c are forgotten.
    #expect(changes.added.count == 2 && changes.removed.count == 2)
    #expect(old.isSuperset(of: changes.removed))
  }

  @Test func `a file that is being read is not read twice after events were lost`() throws {
    directory.put("a", String(repeating: "1\n", count: 50))
    var source = try open()
    #expect(try source.read().read == .data(0, .bytes(64)))
    directory.report(.overflow)
    directory.report(.closedAfterWriting, "a")
    #expect(try source.drain() == ["0:" + String(repeating: "1\n", count: 18), "0 ended"])
    // It waits to be finished: a batch holds its last records.
    directory.report(.overflow)
    #expect(try source.drain() == [])
    // Another file of its name is read, though the first one still waits.
    directory.put("a", "2\n")
    directory.report(.overflow)
    #expect(try source.drain() == ["1:2\n", "1 ended"])
  }

  @Test func `a waiting name stays when another one goes`() throws {
    for name in ["a", "c"] { directory.put(name, name) }
    var source = try open()
    // `b` comes late, so it stands apart from the names that were listed.
    directory.put("b", "b")
    directory.report(.closedAfterWriting, "b")
    directory.drop("a")
    directory.report(.deleted, "a")
    #expect(try source.drain() == ["0:b", "0 ended", "1:c", "1 ended"])
  }
}
