internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage

// Invariants:
// - A split is in `current`, in `waiting` or in `ended`, or its reader is taken out.
// - `ended` contains the splits of which all records were taken, but not all are in batches that are cut.

/// The readers of open splits, and the cursors of splits that have ended.
struct OpenSplits: Sendable {
  /// The split to work on before any other is read.
  private var current: SplitReader?
  private var waiting: [SplitID: SplitReader] = [:]
  /// The splits in `waiting` that took records since the last cut.
  private var ahead: Set<SplitID> = []
  private var ended: [(split: SplitID, cursor: SplitCursor)] = []
  /// The end of the last done split. A checkpoint after the end of the input shows it.
  private var last: SplitCursor?
  /// The time until which the first records are only looked at, to choose the features; nil before the first bytes,
  /// after the choice, and if their number alone decides.
  var lookAheadEnds: Instant?
  /// The reasons that were told why splits were given up.
  private var reasonsTold: Set<String> = []
  /// So many reasons are told, since producers may think of ever more.
  private static let mostReasons = 16

  /// - Parameter last: the end of the last split that an earlier run was done with.
  init(after last: SplitCursor? = nil) {
    self.last = last
  }

  var isEmpty: Bool { current == nil && waiting.isEmpty }

  /// Whether no reader can continue without more bytes.
  var haveTakenAll: Bool { current == nil && waiting.values.allSatisfy(\.needsBytes) }

  var ids: [SplitID] { waiting.keys.sorted() }

  /// Takes out the reader of a split, if there is one.
  mutating func take(_ split: SplitID) -> SplitReader? { waiting.removeValue(forKey: split) }

  /// Takes out a reader that can continue without more bytes.
  mutating func takeReady() -> SplitReader? {
    if let reader = current.take() { return reader }
    guard let split = waiting.first(where: { !$0.value.needsBytes })?.key else { return nil }
    return waiting.removeValue(forKey: split)
  }

  /// Whether a reason to give up a split is to be told: it is new, and few were told before.
  mutating func isNews(_ reason: String) -> Bool {
    reasonsTold.count < Self.mostReasons && reasonsTold.insert(reason).inserted
  }

  /// Has all splits that are looking ahead be opened by what they have.
  mutating func stopLookingAhead() {
    let looking = waiting.filter(\.value.isLookingAhead).map(\.key)
    for split in looking { waiting[split]?.stopLookingAhead() }
  }

  /// Puts a reader back. It is the next to work on if it has bytes.
  mutating func put(_ reader: consuming SplitReader) {
    if !reader.needsBytes, current == nil {
      current = consume reader
    } else {
      if reader.isAhead { ahead.insert(reader.split) }
      waiting[reader.split] = consume reader
    }
  }

  /// Releases a split of which all records were taken, except its cursor.
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
      // Removed first, since a change in place would allocate on the heap.
      guard var reader = waiting.removeValue(forKey: split) else { continue }
      reader.settle()
      waiting[split] = consume reader
    }
    ahead.removeAll(keepingCapacity: true)
    guard !ended.isEmpty else { return [] }
    defer { ended = [] }
    return ended.map(\.split)
  }

  /// The cursors of all splits, after the last records whose batches are cut.
  func cursors(_ source: any Source) throws(FileError) -> [SplitCursor] {
    var cursors = ended.map(\.cursor)
    let readers = ([current].compactMap(\.self) + waiting.values).sorted { $0.split < $1.split }
    for reader in readers { cursors.append(try reader.cursor(in: source)) }
    // The source knows that the split is done. The cursor shows how much was read.
    if cursors.isEmpty, source.size != nil, let last { return [last] }
    return cursors
  }
}
