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
struct KafkaSink: ByteSink {
  let name: String
  private let target: any MessageTarget
  private let payload: KafkaPayload
  private let ends: RecordEnds?
  private var prologue: [UInt8] = []
  private var epilogue: [UInt8] = []
  private var waiting: [ArraySlice<UInt8>] = []
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
    next = 0
    waiting =
      if makesStreams {
        [(prologue + bytes + epilogue)[...]]
      } else if payload == .frame {
        [bytes[...]]
      } else {
        messages(of: bytes, records: records)
      }
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

  // MARK: Messages

  /// The records of a write, each without its line end.
  private func messages(of bytes: [UInt8], records: Int) -> [ArraySlice<UInt8>] {
    switch ends {
    case .lines(let quote): return lines(of: bytes, quote: quote, records: records)
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
    var isQuoted = false
    for (index, byte) in bytes.enumerated() {
      if byte == quote { isQuoted.toggle() }
      guard byte == 0x0A, !isQuoted else { continue }
      append(bytes[start..<index], to: &lines)
      start = index + 1
    }
    append(bytes[start...], to: &lines)
    return lines
  }

  /// Adds a line that is not blank.
  private func append(_ line: ArraySlice<UInt8>, to lines: inout [ArraySlice<UInt8>]) {
    let line = line.last == 0x0D ? line.dropLast() : line
    if !line.isEmpty { lines.append(line) }
  }
}
