internal import Codecs
internal import Connectors
internal import Records
internal import Storage

// Invariants:
// - A split is in `current`, in `waiting` or in `ended`, or its reader is out, being worked with.
// - `ended` holds the splits of which all records were taken and not all are in batches that are cut.

/// The readers of the splits that are open, and what must be known of those that have ended.
struct OpenSplits: Sendable {
  /// The split whose bytes are worked on, before any other is read from.
  private var current: SplitReader?
  private var waiting: [SplitID: SplitReader] = [:]
  /// Those of `waiting` that took records since the last cut.
  private var ahead: Set<SplitID> = []
  private var ended: [(split: SplitID, cursor: SplitCursor)] = []
  /// The end of the last split that is done, which a checkpoint of an input that has ended shows.
  private var last: SplitCursor?

  /// - Parameter last: the end of the split that an earlier run was done with.
  init(after last: SplitCursor? = nil) {
    self.last = last
  }

  var isEmpty: Bool { current == nil && waiting.isEmpty }

  var ids: [SplitID] { waiting.keys.sorted() }

  /// Takes out the reader of a split, if there is one.
  mutating func take(_ split: SplitID) -> SplitReader? { waiting.removeValue(forKey: split) }

  /// Takes out a reader that can go on without more bytes.
  mutating func takeReady() -> SplitReader? {
    if let reader = current.take() { return reader }
    guard let split = waiting.first(where: { !$0.value.needsBytes })?.key else { return nil }
    return waiting.removeValue(forKey: split)
  }

  /// Puts a reader back, to be worked on next if it has bytes.
  mutating func put(_ reader: consuming SplitReader) {
    if !reader.needsBytes, current == nil {
      current = consume reader
    } else {
      if reader.isAhead { ahead.insert(reader.split) }
      waiting[reader.split] = consume reader
    }
  }

  /// Lets go of a split of which all records were taken, but for its cursor.
  mutating func end(
    _ reader: consuming SplitReader, in source: any Source
  ) throws(FileError) {
    ended.append((reader.split, try reader.cursor(in: source)))
    last = reader.endCursor()
  }

  /// Records that the batches of all records taken are cut.
  ///
  /// - Returns: the splits that are done.
  mutating func settle() -> [SplitID] {
    current?.settle()
    for split in ahead {
      // Taken out: a change in place would allocate a frame on the heap.
      guard var reader = waiting.removeValue(forKey: split) else { continue }
      reader.settle()
      waiting[split] = consume reader
    }
    ahead.removeAll(keepingCapacity: true)
    guard !ended.isEmpty else { return [] }
    defer { ended = [] }
    return ended.map(\.split)
  }

  /// The cursors of all splits after their last records whose batches are cut.
  func cursors(_ source: any Source) throws(FileError) -> [SplitCursor] {
    var cursors = ended.map(\.cursor)
    let readers = ([current].compactMap(\.self) + waiting.values).sorted { $0.split < $1.split }
    for reader in readers { cursors.append(try reader.cursor(in: source)) }
    // The source knows that it is done; who looks at the checkpoint sees how much it was.
    if cursors.isEmpty, source.size != nil, let last { return [last] }
    return cursors
  }
}
