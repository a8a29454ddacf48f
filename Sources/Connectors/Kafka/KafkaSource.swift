internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - The bytes of a partition are those of its messages, each with a line end if its records are lines. They do not
//   depend on the buffers of the readers.
// - `given` bytes of the first message in `log` were given.

/// Reads the partitions of a topic. Each is a split.
///
/// The positions are those of the stream's checkpoints. A broker keeps none of them.
struct KafkaSource: Source {
  let name: String
  let size: Int? = nil
  let endsAnywhere = false
  private(set) var openSplits: [SplitID] = []
  private(set) var gap: String?
  private(set) var isChangedInPlace = false
  private let log: any MessageLog
  private let payload: KafkaPayload
  private let ends: RecordEnds?
  private let isCompressed: @Sendable ([UInt8]) -> Bool
  private let keepsMessages: Bool
  private let statistics: ConnectorStatistics
  /// Whether the source ends.
  private let isBounded: Bool
  /// By their numbers; nil for one that is not read.
  private var partitions: [KafkaPartition?]
  private var beginnings: KafkaBeginnings
  private var isStarted = false
  private var given = 0

  /// - Throws: an error if no broker answers, or if the topic or a partition of it does not exist.
  init(
    _ log: any MessageLog, topic: String, _ options: KafkaSourceOptions, in context: SourceContext
  ) throws(FileError) {
    name = topic
    self.log = log
    payload = options.payload
    ends = context.connector.recordEnds
    isCompressed = context.isCompressed
    keepsMessages = context.connector.keepsMessages
    statistics = context.statistics
    isBounded = options.ends
    beginnings = KafkaBeginnings(topic: topic, offsets: [:])
    let count = try log.partitionCount()
    let chosen = options.partitions.isEmpty ? Array(0..<count) : options.partitions
    if let absent = chosen.first(where: { $0 >= count }) {
      throw FileError(
        operation: .open, path: topic,
        reason: "expected partitions 0 to \(count - 1), found \(absent)", errno: ENOENT)
    }
    partitions = Array(repeating: nil, count: count)
    var begun = context.cursor?.done.flatMap { KafkaBeginnings($0) }
    if begun?.topic != topic { begun = nil }
    var cursors: [Int: (cursor: SplitCursor, mark: KafkaMark)] = [:]
    for cursor in context.cursor?.splits ?? [] {
      guard let mark = cursor.source.flatMap({ KafkaMark($0) }), mark.topic == topic else {
        continue
      }
      cursors[mark.partition] = (cursor, mark)
      if chosen.contains(mark.partition) { openSplits.append(mark.partition) }
    }
    for partition in chosen {
      let watermarks = try log.watermarks(of: partition)
      if let (cursor, mark) = cursors[partition] {
        let start = PartitionStart(
          resuming: mark.offset, of: Self.name(topic, partition), watermarks: watermarks)
        resume(partition, at: cursor, mark, start)
        note(start, of: partition, options.onGap)
      } else {
        // A partition that is new since the checkpoint is read whole.
        let start =
          if let known = begun?.offsets[partition] {
            PartitionStart(
              resuming: known, of: Self.name(topic, partition), watermarks: watermarks)
          } else {
            try PartitionStart(
              begun == nil ? options.start : .earliest, of: partition, watermarks: watermarks,
              in: log)
          }
        var split = SplitStart(name: Self.name(topic, partition))
        split.isPlain = payload == .message
        partitions[partition] = KafkaPartition(
          start: split, places: MessagePlaces(at: 0, next: start.offset))
        beginnings.offsets[partition] = start.offset
        note(start, of: partition, options.onGap)
      }
      try bound(partition, watermarks, options)
    }
  }

  /// Ends a partition at the place that the options say.
  private mutating func bound(
    _ partition: Int, _ watermarks: (low: Int, high: Int), _ options: KafkaSourceOptions
  ) throws(FileError) {
    partitions[partition]?.firstEnd = watermarks.high
    guard options.ends else { return }
    partitions[partition]?.end = options.end ?? watermarks.high
    let first = partitions[partition]?.places.next ?? 0
    guard first >= watermarks.low, options.end ?? 0 <= watermarks.high else {
      throw FileError(
        operation: .open, path: Self.name(name, partition),
        reason: "expected offsets of \(watermarks.low) to \(watermarks.high), found \(first) to "
          + "\(options.end ?? watermarks.high)", errno: EINVAL)
    }
  }

  private static func name(_ topic: String, _ partition: Int) -> String { "\(topic)/\(partition)" }

  private mutating func resume(
    _ partition: Int, at cursor: SplitCursor, _ mark: KafkaMark, _ start: PartitionStart
  ) {
    var split = SplitStart(cursor)
    split.isPlain = payload == .message
    let isWhole = start.lost == 0
    // The rest of a frame cannot be read without its beginning.
    if !isWhole { split.container?.bytesWithin = 0 }
    partitions[partition] = KafkaPartition(
      start: split,
      places: MessagePlaces(
        at: cursor.sourceOffset - (isWhole ? mark.bytesWithin : 0), next: start.offset),
      partlyRead: isWhole && mark.bytesWithin > 0 ? (mark.offset, mark.bytesWithin) : nil)
  }

  /// Takes note of messages that are gone.
  private mutating func note(_ start: PartitionStart, of partition: Int, _ action: KafkaGapAction) {
    if let refusal = start.refusal {
      (gap, isChangedInPlace) = (refusal, true)
    } else if start.lost > 0, !isChangedInPlace {
      gap =
        "\(Self.name(name, partition)): offsets \(start.offset - start.lost) to \(start.offset - 1) were removed "
        + "before they were read"
      switch action {
      case .fail:
        gap? += "; on_gap: continue goes on after them"
        isChangedInPlace = true
      case .continue: statistics.lostMessages.add(start.lost, ordering: .relaxed)
      }
    }
  }

  // MARK: Reading

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceEvent {
    try startOnce()
    var filled = 0
    var split: SplitID?
    while filled < buffer.count, let message = try log.first() {
      guard let state = partitions[message.partition], !state.isAbandoned,
        message.offset < state.end ?? .max
      else {
        partitions[message.partition]?.places.skip(message.offset)
        drop()
        continue
      }
      guard let bytes = message.bytes, bytes.count > 0 else {
        statistics.skippedMessages.add(1, ordering: .relaxed)
        partitions[message.partition]?.places.skip(message.offset)
        drop()
        continue
      }
      if let split, split != message.partition { return .data(split, .bytes(filled)) }
      split = message.partition
      let form = MessageForm(of: bytes, payload, ends, isCompressed: isCompressed)
      filled += try give(
        message, bytes, form, into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      guard given == form.byteCount else { break }
      partitions[message.partition]?.places.complete()
      drop()
      if form.endsRecord { return .data(message.partition, .message(filled)) }
    }
    if let split { return .data(split, .bytes(filled)) }
    showBacklog()
    return endOfPartition() ?? .idle(log.awaiting)
  }

  /// The end of a partition, or of the source; nil if more messages may come.
  private mutating func endOfPartition() -> SourceEvent? {
    for (partition, state) in partitions.enumerated() {
      guard let state, state.isAtEnd(seen: log.seenEnd(of: partition)) else { continue }
      partitions[partition]?.end = nil
      partitions[partition]?.isAbandoned = true
      log.stop(partition)
      return .ended(partition)
    }
    return isBounded && partitions.allSatisfy { $0?.isAbandoned ?? true } ? .end : nil
  }

  /// Begins to read the partitions, when the stream has accepted the source.
  private mutating func startOnce() throws(FileError) {
    guard !isStarted else { return }
    isStarted = true
    for (partition, state) in partitions.enumerated() {
      if let state { try log.start(partition, at: state.places.next) }
    }
  }

  private mutating func drop() {
    log.take()
    given = 0
  }

  /// Gives as many bytes of a message as there is room for.
  private mutating func give(
    _ message: LogMessage, _ bytes: UnsafeRawBufferPointer, _ form: MessageForm,
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> Int {
    if given == 0 { try begin(message, form) }
    let count = min(buffer.count, bytes.count - given)
    if count > 0 {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      part.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[given..<given + count]))
      if form.joinsLines { part.joinLines(isEnd: given + count == bytes.count) }
    }
    var total = max(0, count)
    if given + total >= bytes.count, given + total < form.byteCount, total < buffer.count {
      buffer[total] = 0x0A
      total += 1
    }
    given += total
    partitions[message.partition]?.places.give(total)
    return total
  }

  private mutating func begin(_ message: LogMessage, _ form: MessageForm) throws(FileError) {
    let partlyRead = partitions[message.partition]?.partlyRead
    var origin =
      keepsMessages
      ? log.origin() : MessageOrigin(partition: message.partition, offset: message.offset)
    origin.lacksLineEnd = form.byteCount > message.bytes?.count ?? 0
    partitions[message.partition]?.places.begin(origin, form.records)
    guard let partlyRead else { return }
    partitions[message.partition]?.partlyRead = nil
    guard message.offset == partlyRead.offset, partlyRead.byteCount < form.byteCount else {
      throw FileError(
        operation: .read, path: Self.name(name, message.partition),
        reason:
          "the message at offset \(partlyRead.offset) was read in part, and is another one now")
    }
    given = partlyRead.byteCount
    partitions[message.partition]?.places.give(given)
  }

  private func showBacklog() {
    var left = 0
    for (partition, state) in partitions.enumerated() {
      guard let state, let high = log.knownHigh(of: partition) else { continue }
      left += max(0, high - state.places.next)
    }
    statistics.backlogMessages.set(left)
  }

  // MARK: Splits

  var done: OpaqueBytes? { beginnings.opaque }

  func start(of split: SplitID) -> SplitStart {
    partitions[split]?.start ?? SplitStart(name: Self.name(name, split))
  }

  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    guard let place = partitions[split]?.places.place(at: offset) else { return nil }
    return KafkaMark(
      topic: name, partition: split, offset: place.offset, bytesWithin: place.bytesWithin
    ).opaque
  }

  mutating func settled(_ split: SplitID, at offset: Int) {
    partitions[split]?.places.forget(before: offset)
  }

  func place(of split: SplitID, at offset: Int) -> String? {
    partitions[split].map {
      MessageOrigin.place(
        Self.name(name, split), offset: $0.places.place(at: offset).offset)
    }
  }

  var hasCaughtUp: Bool {
    partitions.enumerated().allSatisfy { number, partition in
      partition.map {
        $0.isAbandoned || given == 0 && $0.isPast($0.firstEnd, seen: log.seenEnd(of: number))
      } ?? true
    }
  }

  var partitionCount: Int? { partitions.lastIndex { $0 != nil }.map { $0 + 1 } }

  func messages(of split: SplitID, at offset: Int, atMost count: Int) -> MessageRun? {
    keepsMessages ? partitions[split]?.places.run(at: offset, atMost: count) : nil
  }

  mutating func abandon(_ split: SplitID) {
    partitions[split]?.isAbandoned = true
    log.stop(split)
  }
}
