import Connectors
import Dataflow
import Storage
import TestSupport

/// A state topic in memory. Each wait takes a second of the clock.
final class MemoryTail: StateTail, @unchecked Sendable {
  // @unchecked because one test uses it.
  let name = "st"
  var ends: [Int]
  var isAtEnds: Bool {
    ends.indices.allSatisfy { partition in
      messages[..<read].count { $0.partition == partition } >= ends[partition]
    }
  }
  private let clock: ManualClock
  private var messages: [(partition: Int, message: StateMessage)] = []
  private var read = 0
  var isBroken = false

  init(_ clock: ManualClock, ends: [Int] = []) { (self.clock, self.ends) = (clock, ends) }

  func store(_ message: StateMessage, in partition: Int) {
    var stored = message
    stored.offset = messages.count { $0.partition == partition }
    messages.append((partition, stored))
  }

  func next(
    waiting seconds: Double
  ) throws(FileError) -> (partition: Int, message: StateMessage)? {
    if isBroken { throw FileError(operation: .read, path: name, reason: "broken") }
    guard read < messages.count else {
      clock.advance(by: seconds)
      return nil
    }
    read += 1
    return messages[read - 1]
  }
}
