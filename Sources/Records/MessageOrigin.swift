/// The message that a record came in. Only connectors that read and write messages look into it.
package struct MessageOrigin: Sendable, Equatable {
  package var partition: Int
  package var offset: Int
  /// Its timestamp, in milliseconds since 1970; nil if it has none.
  package var milliseconds: Int?
  /// Its key and its headers, as the connector keeps them; empty if it has neither.
  package var attributes: [UInt8]
  /// Whether its bytes in the split have a line end that the message lacks.
  package var lacksLineEnd = false
  /// A number that rises with the records of a message; 0 for one at its first byte.
  package var part = 0
  /// Of units of records, `part` has the place of the unit above so many bits, and the number of the record below.
  package static let unitShift = 32

  package init(
    partition: Int, offset: Int, milliseconds: Int? = nil, attributes: [UInt8] = []
  ) {
    self.partition = partition
    self.offset = offset
    self.milliseconds = milliseconds
    self.attributes = attributes
  }

  /// The message in words.
  ///
  /// - Parameter partition: the name of the partition.
  package static func place(_ partition: String, offset: Int) -> String {
    "\(partition) at offset \(offset)"
  }

  /// The time of the message in nanoseconds since 1970, for the role of event times.
  package var eventTime: Int64 {
    guard let milliseconds else { return RoleNumbers.absentTime }
    return Int64(min(milliseconds, Int(EventTime.range.upperBound / 1_000_000))) * 1_000_000
  }
}

/// Consecutive messages at one place of a split.
package struct MessageRun: Sendable {
  /// How many records the messages hold.
  package enum Records: Sendable, Equatable {
    /// Each message is one record.
    case oneEach
    /// The one message may hold any number of records.
    case any
    /// The one message holds units of records, such as the record batches of Arrow.
    case units
  }

  /// The offset of their first byte, in the bytes of the split as they come.
  package var start: Int
  /// The offset after their last byte; that of the bytes so far if the last message is not whole.
  package var end: Int
  package var records: Records
  package var origins: ArraySlice<MessageOrigin>

  package init(start: Int, end: Int, records: Records, origins: ArraySlice<MessageOrigin>) {
    self.start = start
    self.end = end
    self.records = records
    self.origins = origins
  }
}

// Invariant: the ends of `runs` ascend.

/// The messages of a block's records, in the order of the records; empty if the source has no messages.
package struct RecordOrigins: Sendable {
  /// Records that follow one another in one message. Their parts count up from that of the first.
  private struct Run: Sendable {
    /// The number of records in this run and before it.
    var end: Int
    var first: MessageOrigin
  }

  private var runs: [Run] = []
  private var attributeBytes = 0

  package init() {}

  package var isEmpty: Bool { runs.isEmpty }

  /// The approximate memory, in bytes.
  var byteCount: Int { runs.count * MemoryLayout<Run>.stride + attributeBytes }

  /// Adds the message of the next records.
  package mutating func append(_ origin: MessageOrigin, records count: Int = 1) {
    guard count > 0 else { return }
    let start = runs.last?.end ?? 0
    if let last = runs.last, follows(origin, last) {
      runs[runs.count - 1].end += count
    } else {
      runs.append(Run(end: start + count, first: origin))
      attributeBytes += origin.attributes.count
    }
  }

  /// Whether an origin continues the last run.
  private func follows(_ origin: MessageOrigin, _ last: Run) -> Bool {
    let start = runs.count > 1 ? runs[runs.count - 2].end : 0
    return origin.offset == last.first.offset && origin.partition == last.first.partition
      && origin.part == last.first.part + last.end - start
  }

  /// Adds the messages of some records of another block.
  mutating func append(_ other: RecordOrigins, _ records: Range<Int>) {
    other.forEachRun(in: records) { append($0, records: $1) }
  }

  /// Visits the messages of some records: the origin of the first of consecutive records, and their number.
  private func forEachRun(in records: Range<Int>, _ visit: (MessageOrigin, Int) -> Void) {
    guard !records.isEmpty, !runs.isEmpty else { return }
    var index = firstRun(after: records.lowerBound)
    var start = index > 0 ? runs[index - 1].end : 0
    while index < runs.count, start < records.upperBound {
      let run = runs[index]
      let part = max(start, records.lowerBound)..<min(run.end, records.upperBound)
      var origin = run.first
      origin.part += part.lowerBound - start
      visit(origin, part.count)
      start = run.end
      index += 1
    }
  }

  /// The index of the run with a record.
  private func firstRun(after record: Int) -> Int {
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end <= record { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The message of a record; nil if the source has none.
  package func origin(of record: Int) -> MessageOrigin? {
    var found: MessageOrigin?
    forEachRun(in: record..<record + 1) { origin, _ in found = origin }
    return found
  }

  /// Adds the message of each of some records to a list.
  package func add(_ records: Range<Int>, to list: inout [MessageOrigin]) {
    list.reserveCapacity(list.count + records.count)
    forEachRun(in: records) { origin, count in
      var origin = origin
      for _ in 0..<count {
        list.append(origin)
        origin.part += 1
      }
    }
  }

  /// Forgets the messages of the records after so many.
  mutating func truncate(to count: Int) {
    while let last = runs.last {
      let start = runs.count > 1 ? runs[runs.count - 2].end : 0
      guard start < count else {
        attributeBytes -= last.first.attributes.count
        runs.removeLast()
        continue
      }
      runs[runs.count - 1].end = min(last.end, count)
      return
    }
  }

  mutating func removeAll() {
    runs.removeAll(keepingCapacity: true)
    attributeBytes = 0
  }
}
