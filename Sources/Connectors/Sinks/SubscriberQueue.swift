// Invariants:
// - `current` is under way: it goes out to its end, whatever is dropped.
// - `sent` is within `current`, and below its count whenever something is left to send.
// - `waitingBytes` is the cost of `waiting[head...]`, at most `byteLimit` or that of a single write.

/// What a subscriber is still to get: whole writes in order, the oldest of which give way when there are
/// more than a bound allows.
///
/// The arrays are shared with the queues of other subscribers, not copied.
struct SubscriberQueue: Sendable {
  /// What keeping a write costs beside its bytes.
  static let overhead = 48

  private let byteLimit: Int
  private var current: [UInt8]
  private var sent = 0
  private var waiting: [[UInt8]] = []
  private var head = 0
  private(set) var waitingBytes = 0

  /// - Parameters:
  ///   - prologue: what goes before everything else; it is never dropped.
  ///   - byteLimit: how much may wait behind the write under way, in bytes; one write always may.
  init(prologue: [UInt8], byteLimit: Int = .max) {
    current = prologue
    self.byteLimit = byteLimit
  }

  var isEmpty: Bool { sent == current.count && head == waiting.count }

  /// The writes (and the prologue) that are not wholly sent.
  var writeCount: Int { waiting.count - head + (sent < current.count ? 1 : 0) }

  /// Takes a write.
  ///
  /// - Returns: how many of the oldest writes gave way to it.
  mutating func append(_ write: [UInt8]) -> Int {
    guard !write.isEmpty else { return 0 }
    if isEmpty {
      (current, sent) = (write, 0)
      return 0
    }
    waiting.append(write)
    waitingBytes += write.count + Self.overhead
    var dropped = 0
    while waitingBytes > byteLimit, waiting.count - head > 1 {
      _ = removeFirst()
      dropped += 1
    }
    return dropped
  }

  /// What is still to be sent, in bytes.
  var unsentBytes: Int {
    current.count - sent + waitingBytes - (waiting.count - head) * Self.overhead
  }

  /// The rest of the write under way; empty when nothing is left to send.
  var unsent: ArraySlice<UInt8> { current[sent...] }

  /// Notes that so many bytes of `unsent` have gone.
  mutating func advance(by count: Int) {
    sent += count
    guard sent == current.count else { return }
    (current, sent) = (head < waiting.count ? removeFirst() : [], 0)
  }

  private mutating func removeFirst() -> [UInt8] {
    let write = waiting[head]
    waiting[head] = []
    head += 1
    waitingBytes -= write.count + Self.overhead
    // The places of what has gone are given back once they are half of all: a constant cost a write.
    if head * 2 >= waiting.count {
      waiting.removeFirst(head)
      head = 0
    }
    return write
  }
}
