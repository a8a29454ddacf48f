// Invariants:
// - `current` is being sent. It is sent to its end, whatever is dropped.
// - `sent` is an offset in `current`, and is less than its count if there are bytes to send.
// - `waitingBytes` is the cost of `waiting[head...]`. It is at most `byteLimit`, or the cost of a single write.

/// The bytes that a subscriber has not got yet: whole writes in order. If they exceed a bound, the oldest are
/// dropped.
///
/// The arrays are shared with the queues of other subscribers, not copied.
struct SubscriberQueue: Sendable {
  /// The memory for each waiting write, besides its bytes.
  static let overhead = 48

  private struct Write: Sendable {
    var bytes: [UInt8]
    var changesPrologue = false
  }

  private let byteLimit: Int
  private var current: [UInt8]
  private var sent = 0
  private var waiting: [Write] = []
  private var head = 0
  private(set) var waitingBytes = 0
  /// Whether a write that changes the prologue was dropped. The subscriber cannot read the records after it.
  private(set) var lacksChange = false

  /// - Parameters:
  ///   - prologue: the bytes before everything else. They are never dropped.
  ///   - byteLimit: how many bytes may wait after the current write. A single write may always wait.
  init(prologue: [UInt8], byteLimit: Int = .max) {
    current = prologue
    self.byteLimit = byteLimit
  }

  var isEmpty: Bool { sent == current.count && head == waiting.count }

  /// The number of writes (and the prologue) that were not sent completely.
  var writeCount: Int { waiting.count - head + (sent < current.count ? 1 : 0) }

  /// Adds a write.
  ///
  /// - Returns: how many of the oldest writes were dropped for it.
  mutating func append(_ write: [UInt8]) -> Int {
    guard !write.isEmpty else { return 0 }
    if isEmpty {
      (current, sent) = (write, 0)
      return 0
    }
    waiting.append(Write(bytes: write))
    waitingBytes += write.count + Self.overhead
    var dropped = 0
    while waitingBytes > byteLimit, waiting.count - head > 1 {
      if removeFirst().changesPrologue { lacksChange = true }
      dropped += 1
    }
    return dropped
  }

  /// Records that the last write changes the prologue. One that is being sent is not dropped.
  mutating func noteChange() {
    if head < waiting.count { waiting[waiting.count - 1].changesPrologue = true }
  }

  /// The number of bytes to send.
  var unsentBytes: Int {
    current.count - sent + waitingBytes - (waiting.count - head) * Self.overhead
  }

  /// The rest of the current write; empty if there is nothing to send.
  var unsent: ArraySlice<UInt8> { current[sent...] }

  /// Records that `count` bytes of `unsent` were sent.
  mutating func advance(by count: Int) {
    sent += count
    guard sent == current.count else { return }
    (current, sent) = (head < waiting.count ? removeFirst().bytes : [], 0)
  }

  private mutating func removeFirst() -> Write {
    let write = waiting[head]
    waiting[head].bytes = []
    head += 1
    waitingBytes -= write.bytes.count + Self.overhead
    // Removes the used entries when they are half of all, so that the cost per write is constant.
    if head * 2 >= waiting.count {
      waiting.removeFirst(head)
      head = 0
    }
    return write
  }
}
