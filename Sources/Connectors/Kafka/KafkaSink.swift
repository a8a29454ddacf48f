internal import Dataflow
internal import Records
internal import Storage

// Invariants:
// - `waiting[next...]` are the messages of the last write that the target has not taken.
// - A checkpoint follows only when a broker has stored every message before it (`settle`).

/// Writes to a topic. Each record is a message, or each write.
///
/// A message that no broker stores fails the stream, which then resumes at its checkpoint. So every record is there
/// at least once.
struct KafkaSink: LetterSink {
  let name: String
  private let target: any MessageTarget
  private let payload: KafkaPayload
  private let ends: RecordEnds?
  private var prologue: [UInt8] = []
  private var epilogue: [UInt8] = []
  private var waiting: [OutgoingMessage] = []
  private var next = 0

  /// - Parameter ends: the form in which the records end; nil if they are compressed.
  init(_ target: any MessageTarget, topic: String, _ payload: KafkaPayload, ends: RecordEnds?) {
    name = topic
    self.target = target
    self.payload = payload
    self.ends = ends
  }

  // Without it, an error would wait for the next record.
  var attention: Awaiting? { target.unstored > 0 ? target.awaiting : nil }

  // A frame holds records of many messages.
  var keepsOrigins: Bool { payload == .message }

  /// Whether each message is a whole stream with a prologue and an epilogue of its own.
  private var makesStreams: Bool { ends == .arrowMessages }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    self.epilogue = try streamed(epilogue)
    self.prologue = prologue
  }

  mutating func changePrologue(to prologue: [UInt8]) { self.prologue = prologue }

  mutating func write(_ bytes: [UInt8]) throws(FileError) { try write(bytes, records: 1) }

  mutating func write(_ bytes: [UInt8], records: Int) throws(FileError) {
    let values =
      if makesStreams {
        [(prologue + bytes + epilogue)[...]]
      } else if payload == .frame {
        [bytes[...]]
      } else {
        messages(of: bytes, records: records)
      }
    waiting = values.map { OutgoingMessage(value: $0) }
    next = 0
    try send()
  }

  mutating func write(_ pieces: [[UInt8]], of origins: [MessageOrigin]) throws(FileError) {
    var values: [ArraySlice<UInt8>] = []
    if makesStreams {
      values = pieces.map { (prologue + $0 + epilogue)[...] }
    } else {
      for piece in pieces {
        values += messages(of: piece, records: origins.count, keepsEmpty: true)
      }
      // Of CSV with one column, an empty line is a record.
      if values.count > origins.count { values.removeAll(where: \.isEmpty) }
    }
    guard values.count == origins.count else {
      // Otherwise a record would have the key of another one.
      throw FileError(
        operation: .write, path: name,
        reason: "expected a message for each of \(origins.count) records, found \(values.count)")
    }
    waiting = zip(values, origins).map { OutgoingMessage(value: $0, origin: $1) }
    next = 0
    try send()
  }

  mutating func push() throws(FileError) -> Awaiting? {
    try target.takeReports()
    try send()
    return next < waiting.count ? target.awaiting : nil
  }

  mutating func settle() throws(FileError) -> Awaiting? {
    try target.takeReports()
    return target.unstored > 0 ? target.awaiting : nil
  }

  mutating func finish() throws(FileError) {}

  private mutating func send() throws(FileError) {
    while next < waiting.count {
      guard try target.send(waiting[next]) else { return }
      next += 1
    }
    waiting = []
    next = 0
  }

  // MARK: Dead letters

  mutating func write(
    refused record: [UInt8], of origin: MessageOrigin?, because reason: String
  ) throws(FileError) {
    let lacksLineEnd = origin?.lacksLineEnd ?? true
    let value = lacksLineEnd && record.last == 0x0A ? record.dropLast() : record[...]
    waiting.append(OutgoingMessage(value: value, origin: origin, fault: reason))
    try send()
  }

  // MARK: Messages

  /// The records of a write, each without its line end.
  ///
  /// - Parameter keepsEmpty: whether empty lines count.
  private func messages(
    of bytes: [UInt8], records: Int, keepsEmpty: Bool = false
  ) -> [ArraySlice<UInt8>] {
    switch ends {
    case .lines(let quote):
      let lines = lines(of: bytes, quote: quote, records: records)
      return keepsEmpty ? lines : lines.filter { !$0.isEmpty }
    case .rows where records > 0 && bytes.count % records == 0:
      let size = bytes.count / records
      return (0..<records).map { bytes[$0 * size..<($0 + 1) * size] }
    case .rows, .arrowMessages, nil: return [bytes[...]]
    }
  }

  private func lines(
    of bytes: [UInt8], quote: UInt8?, records: Int
  ) -> [ArraySlice<UInt8>] {
    var lines: [ArraySlice<UInt8>] = []
    lines.reserveCapacity(records)
    var start = 0
    while let end = lineEnd(of: bytes, from: start, quote: quote) {
      append(bytes[start..<end], hasQuotes: quote != nil, to: &lines)
      start = end + 1
    }
    if start < bytes.count { append(bytes[start...], hasQuotes: quote != nil, to: &lines) }
    return lines
  }

  /// The place of the first line end from `start` on that is not within quotes; nil if there is none.
  private func lineEnd(of bytes: [UInt8], from start: Int, quote: UInt8?) -> Int? {
    guard let quote else { return bytes[start...].firstIndex(of: 0x0A) }
    var isQuoted = false
    for index in start..<bytes.count {
      if bytes[index] == quote { isQuoted.toggle() }
      if bytes[index] == 0x0A, !isQuoted { return index }
    }
    return nil
  }

  /// Adds a line. One of white space is no record of JSON, but may be one of CSV.
  private func append(
    _ line: ArraySlice<UInt8>, hasQuotes: Bool, to lines: inout [ArraySlice<UInt8>]
  ) {
    let isBlank = line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    guard hasQuotes || !isBlank else { return }
    lines.append(line.last == 0x0D ? line.dropLast() : line)
  }
}
