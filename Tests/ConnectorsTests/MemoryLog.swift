import Dataflow
import Records
import Storage

@testable import Connectors

/// A topic in memory, for tests of the source.
final class MemoryLog: MessageLog, @unchecked Sendable {
  // @unchecked because one test uses it.

  /// The values of each partition, from its first offset on; nil is a message without one.
  var partitions: [[[UInt8]?]]
  /// The offsets of the first messages.
  var lows: [Int]
  /// So many messages of a partition come before the next partition has its turn.
  var run = 3
  /// The ends of partitions that were told.
  var seenEnds: [Int: Int] = [:]
  private(set) var stopped: Set<Int> = []
  private var next: [Int: Int] = [:]
  private var turn = 0
  private var left = 0
  private var current: (partition: Int, memory: UnsafeMutableRawBufferPointer?)?

  init(_ partitions: [[[UInt8]?]], lows: [Int]? = nil) {
    self.partitions = partitions
    self.lows = lows ?? partitions.map { _ in 0 }
  }

  convenience init(_ texts: [String]) { self.init([texts.map { Array($0.utf8) }]) }

  deinit { current?.memory?.deallocate() }

  var awaiting: Awaiting { Awaiting(nil, seconds: 1) }

  func start(_ partition: Int, at offset: Int) throws(FileError) { next[partition] = offset }
  func stop(_ partition: Int) { stopped.insert(partition) }

  func first() throws(FileError) -> LogMessage? {
    for _ in 0...partitions.count {
      if current == nil, left == 0 { (turn, left) = ((turn + 1) % partitions.count, run) }
      guard let offset = next[turn], offset < lows[turn] + partitions[turn].count else {
        left = 0
        continue
      }
      let value = partitions[turn][offset - lows[turn]]
      if current == nil {
        let memory = value.map {
          UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, $0.count), alignment: 1)
        }
        if let value { memory?.copyBytes(from: value) }
        current = (turn, memory)
      }
      let bytes = current?.memory.map {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[..<(value?.count ?? 0)])
      }
      return LogMessage(partition: turn, offset: offset, bytes: bytes)
    }
    return nil
  }

  func origin() -> MessageOrigin {
    let offset = next[turn] ?? 0
    var attributes = MessageAttributes()
    Array("\(turn)-\(offset)".utf8).withUnsafeBytes { attributes.setKey($0) }
    return MessageOrigin(
      partition: turn, offset: offset, milliseconds: 1000 * offset, attributes: attributes.bytes)
  }

  func take() {
    guard let taken = current else { return }
    taken.memory?.deallocate()
    next[taken.partition, default: 0] += 1
    current = nil
    left -= 1
  }

  func watermarks(of partition: Int) throws(FileError) -> (low: Int, high: Int) {
    (lows[partition], lows[partition] + partitions[partition].count)
  }
  func knownHigh(of partition: Int) -> Int? { lows[partition] + partitions[partition].count }
  func offset(of partition: Int, atMilliseconds time: Int) throws(FileError) -> Int? { time }
  func seenEnd(of partition: Int) -> Int? { seenEnds[partition] }
  func partitionCount() throws(FileError) -> Int { partitions.count }
}
