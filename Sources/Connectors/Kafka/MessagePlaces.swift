internal import Records

// Invariants:
// - `starts`, `records` and `origins` have one entry a message that began, from `head` on, in ascending order.
// - `end` is the number of bytes given. Only the last message may be incomplete, while `isOpen`.

/// The places of a partition's messages in the bytes of its split.
///
/// It holds those messages alone whose batch is not cut.
struct MessagePlaces: Sendable, Equatable {
  private var starts: [Int] = []
  private var records: [MessageRun.Records] = []
  private var origins: [MessageOrigin] = []
  private var head = 0
  private var isOpen = false
  /// The number of bytes of the split that were given.
  private(set) var end: Int
  /// The offset of the next message.
  private(set) var next: Int

  /// - Parameters:
  ///   - end: the number of bytes of the split before the next message.
  ///   - next: the offset of that message, or of an earlier one that is gone.
  init(at end: Int, next: Int) {
    (self.end, self.next) = (end, next)
  }

  /// The number of messages in memory.
  var count: Int { starts.count - head }

  mutating func begin(_ origin: MessageOrigin, _ records: MessageRun.Records = .any) {
    starts.append(end)
    self.records.append(records)
    origins.append(origin)
    isOpen = true
  }

  mutating func give(_ byteCount: Int) { end += byteCount }

  mutating func complete() {
    guard let last = origins.last else { return }
    isOpen = false
    next = last.offset + 1
  }

  /// Passes a message that has no bytes.
  mutating func skip(_ offset: Int) { next = offset + 1 }

  /// The message with the byte at an offset of the split, and the number of its bytes before it.
  func place(at byte: Int) -> (offset: Int, bytesWithin: Int) {
    guard byte < end || isOpen, let index = index(at: byte) else { return (next, byte - end) }
    return (origins[index].offset, byte - starts[index])
  }

  /// The messages from the one with a byte on that can be read together, at most so many.
  func run(at byte: Int, atMost count: Int) -> MessageRun? {
    guard let first = index(at: byte), count > 0 else { return nil }
    var last = first + 1
    if records[first] == .oneEach {
      while last < starts.count, last < first + count, records[last] == .oneEach { last += 1 }
    }
    return MessageRun(
      start: starts[first], end: last < starts.count ? starts[last] : end,
      records: records[first], origins: origins[first..<last])
  }

  /// Forgets the messages that end before a byte.
  mutating func forget(before byte: Int) {
    guard let index = index(at: byte) else { return }
    head = index
    // Removes the used entries when they are half of all, so that the cost of each is constant.
    if head * 2 >= starts.count {
      starts.removeFirst(head)
      records.removeFirst(head)
      origins.removeFirst(head)
      head = 0
    }
  }

  /// The last message that begins at a byte or before it.
  private func index(at byte: Int) -> Int? {
    var (low, high) = (head, starts.count)
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] <= byte { low = middle + 1 } else { high = middle }
    }
    return low > head ? low - 1 : nil
  }
}

/// The place in a topic at which a later run resumes a partition.
struct KafkaMark: Sendable, Equatable {
  var topic: String
  var partition: Int
  /// The offset of a message, and the number of its bytes that were read.
  var offset: Int
  var bytesWithin: Int

  init(topic: String, partition: Int, offset: Int, bytesWithin: Int = 0) {
    self.topic = topic
    self.partition = partition
    self.offset = offset
    self.bytesWithin = bytesWithin
  }

  /// - Returns: nil if the bytes are the mark of another source.
  init?(_ opaque: OpaqueBytes) {
    // The name of a topic has no slash.
    let parts = opaque.text.split(separator: "/").map(String.init)
    guard parts.count == 4, let partition = Int(parts[1]), let offset = Int(parts[2]),
      let bytesWithin = Int(parts[3])
    else { return nil }
    self.init(topic: parts[0], partition: partition, offset: offset, bytesWithin: bytesWithin)
  }

  var opaque: OpaqueBytes { OpaqueBytes("\(topic)/\(partition)/\(offset)/\(bytesWithin)") }
}

/// The offsets at which partitions began that have no cursor yet, for a later run.
struct KafkaBeginnings: Sendable, Equatable {
  var topic: String
  var offsets: [Int: Int]

  init(topic: String, offsets: [Int: Int]) {
    self.topic = topic
    self.offsets = offsets
  }

  /// - Returns: nil if the bytes are those of another source.
  init?(_ opaque: OpaqueBytes) {
    let parts = opaque.text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    topic = String(parts[0])
    offsets = [:]
    for pair in parts[1].split(separator: ",") {
      let numbers = pair.split(separator: ":").compactMap { Int($0) }
      guard numbers.count == 2 else { return nil }
      offsets[numbers[0]] = numbers[1]
    }
  }

  var opaque: OpaqueBytes {
    let pairs = offsets.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
    return OpaqueBytes("\(topic)/\(pairs.joined(separator: ","))")
  }
}
