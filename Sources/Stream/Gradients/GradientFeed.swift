internal import Codecs
internal import Connectors
internal import Dataflow
internal import Operators
internal import Records
internal import Storage

// Invariants:
// - `parts` are the splits that have begun and are not finished, in the order of their numbers.
// - A split is finished after its last line was taken.
// - Nothing is read while a line that was read can be taken.

/// The gradients of γ and β that a source brings beside the records.
///
/// IngestStage takes them between two batches, so that a checkpoint has the position in the source that belongs to its γ
/// and β.
struct GradientFeed: Sendable {
  /// The most bytes of a line.
  static let mostLineBytes = 1 << 20
  /// About the most lines and bytes that are taken between two batches. The rest come after the next batch.
  static let mostLines = 256
  static let mostBytes = 4 << 20
  /// The time between two looks at the source while the stream has no records, in seconds.
  static let pauseSeconds = 0.05
  /// The same after a look that found a line. A full pipe makes a trainer wait, and holds about a hundred lines.
  static let shortPauseSeconds = 0.001
  /// The time of a turn in which an idle stream takes lines that name no batch, in seconds. Then it looks for records.
  static let turnSeconds = 100e-6

  private static let readBytes = 64 << 10

  /// Gradients that are taken together, or the reason why they are none: a line of JSON, or a record batch of Arrow.
  struct Line: Sendable {
    /// From 1 in its split.
    var number: Int
    var byteCount: Int
    var content: Result<[GradientLine], UpdateBodyError>

    /// The least number of batches that must be cut before.
    fileprivate var afterBatch: Int { (try? content.get())?.first?.afterBatch ?? 0 }
    /// Whether the line says when it applies.
    var namesBatch: Bool { (try? content.get())?.first?.afterBatch != nil }
  }

  private struct Part: Sendable {
    let split: SplitID
    var reader: any GradientReader
    /// Whether a line may be there.
    var isReady = false
    /// Whether the first line is that of a later batch.
    var isWaiting = false
    var hasEnded = false
  }

  let name: String
  /// The batches that the stream has cut.
  private(set) var batches: Int
  /// The wait until the source has more; nil if the last look did not come to its end.
  private(set) var awaiting: Awaiting?
  private var source: any Source
  private let format: GradientFormat
  /// Whether the lines of a split come after those of the splits before it.
  private let keepsSplitOrder: Bool
  /// Called with parts of the source that are lost.
  var warn: @Sendable (String) -> Void = { _ in }
  private var bytes = ByteBuffer(capacity: readBytes)
  private var parts: [Part] = []
  /// The splits of the cursors that have begun.
  private var resumed: Set<SplitID> = []

  /// - Parameters:
  ///   - source: opened at the position of an earlier run if there was one.
  ///   - keepsSplitOrder: whether the source begins a split only after the end of the one before it.
  ///   - batches: the batches that the stream has cut in earlier runs.
  init(
    _ source: any Source, _ format: GradientFormat = .ndjson, keepsSplitOrder: Bool = true,
    batches: Int = 0
  ) {
    self.source = source
    self.format = format
    self.keepsSplitOrder = keepsSplitOrder
    self.batches = batches
    name = source.name
  }

  /// Counts a batch that was cut.
  mutating func batchCut() {
    batches += 1
    for index in parts.indices where parts[index].isWaiting { parts[index].isWaiting = false }
  }

  /// The file on the disk that a read may wait for; nil for a FIFO.
  var pathOnDisk: String? { source.pathOnDisk }
  /// The part of the source after the cursor that cannot be read again, in words; nil if there is none.
  var gap: String? { source.gap }
  /// Whether the stream must not go on with the gap.
  var isChangedInPlace: Bool { source.isChangedInPlace }

  /// The position after the last line that was taken.
  func position() throws(FileError) -> GradientCursor {
    var input = InputCursor(done: source.done)
    // Nobody needs the cursors of connections.
    guard !source.endsAnywhere else { return GradientCursor(batches: batches, input: input) }
    for split in source.openSplits where !resumed.contains(split) {
      input.splits.append(
        try format.makeReader(split, at: source.start(of: split)).cursor(in: source))
    }
    for part in parts { input.splits.append(try part.reader.cursor(in: source)) }
    return GradientCursor(batches: batches, input: input)
  }

  /// Forgets the wait of the last look, since not every look comes to the end of the source.
  mutating func beginLook() { awaiting = nil }

  /// Takes the next line; nil if none is there, or if it is that of a later batch.
  mutating func take() throws(FileError) -> Line? {
    beginLook()
    while true {
      for index in parts.indices {
        if let line = takeLine(ofPart: index) {
          source.settled(parts[index].split, at: parts[index].reader.settledOffset)
          return line
        }
        if keepsSplitOrder, parts[index].isWaiting { return nil }
      }
      try finishEnded()
      guard try read() else { return nil }
    }
  }

  private mutating func takeLine(ofPart index: Int) -> Line? {
    guard parts[index].isReady, !parts[index].isWaiting else { return nil }
    guard let line = parts[index].reader.next() else {
      parts[index].isReady = false
      return nil
    }
    guard line.afterBatch <= batches else {
      parts[index].isWaiting = true
      return nil
    }
    parts[index].reader.pass()
    return line
  }

  /// Lets go of the splits that have no more lines.
  private mutating func finishEnded() throws(FileError) {
    while let index = parts.firstIndex(where: { !$0.isReady && ($0.hasEnded || $0.reader.isBroken) }
    ) {
      let part = parts.remove(at: index)
      if !part.hasEnded { source.abandon(part.split) }
      try source.finish(part.split)
    }
  }

  // MARK: Bytes

  /// Reads more bytes. Returns whether to look for a line again.
  private mutating func read() throws(FileError) -> Bool {
    // Lines of later batches must not fill the memory.
    guard parts.reduce(0, { $0 + $1.reader.byteCount }) < Self.mostBytes else { return false }
    switch try source.read(into: bytes.room(exactly: Self.readBytes)) {
    case .data(let split, let chunk):
      bytes.advance(chunk.byteCount)
      var index = parts.firstIndex { $0.split == split } ?? parts.count
      if index == parts.count { index = begin(split) }
      let endsRecord = if case .message = chunk { true } else { false }
      parts[index].reader.append(&bytes, endsRecord: endsRecord)
      parts[index].isReady = true
    case .ended(let split):
      guard let index = parts.firstIndex(where: { $0.split == split }) else { break }
      // The beginning of a line whose writer is gone is none.
      end(index, dropsRest: true)
    case .gap(let loss): warn("gradients: \(loss)")
    case .idle(let awaiting):
      self.awaiting = awaiting
      return false
    case .end:
      let open = parts.indices.filter { !parts[$0].hasEnded }
      // The last line of a file may have no end.
      for index in open { end(index, dropsRest: false) }
      return !open.isEmpty
    }
    return true
  }

  private mutating func end(_ index: Int, dropsRest: Bool) {
    parts[index].reader.end(dropsRest: dropsRest)
    (parts[index].hasEnded, parts[index].isReady) = (true, true)
  }

  /// Begins a split.
  ///
  /// - Returns: its place in `parts`.
  private mutating func begin(_ split: SplitID) -> Int {
    if source.openSplits.contains(split) { resumed.insert(split) }
    let index = parts.firstIndex { $0.split > split } ?? parts.count
    let reader = format.makeReader(split, at: source.start(of: split))
    parts.insert(Part(split: split, reader: reader), at: index)
    return index
  }
}

extension GradientFeed {
  /// Opens the gradients of a stream.
  ///
  /// - Parameter cursor: the position of an earlier run.
  init(
    _ input: GradientInput, at cursor: GradientCursor?, in connector: ConnectorContext
  ) throws(FileError) {
    // Its statistics are none of the stream's own source.
    var connector = ConnectorContext(fileSystem: connector.fileSystem, clock: connector.clock)
    connector.recordEnds = input.format.recordEnds
    self.init(
      try input.open(SourceContext(connector, cursor: cursor?.input)), input.format,
      keepsSplitOrder: input.keepsSplitOrder, batches: cursor?.batches ?? 0)
  }
}
