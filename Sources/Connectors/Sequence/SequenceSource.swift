internal import Glibc
package import Records
package import Storage

// Invariants:
// - The sources before `firstOpen` are done: all their splits are finished. They are released.
// - The sources before `current` have given all their bytes. Their last splits may not be finished yet.
// - All sources are opened at once, the last one first. So a file that is rotated while an earlier source is read is
//   not missed, and no earlier source takes it.

/// Reads several sources one after another, as one.
///
/// The cursors of all are in one checkpoint. A split is marked with the number of its source. The data about done splits
/// has a line for each source that is not done.
package struct SequenceSource: Source {
  /// A source of the sequence, and how it is opened.
  package struct Element: Sendable {
    let open: SourceFactory
    /// The path of its file or directory.
    let path: String?

    package init(open: @escaping SourceFactory, path: String?) {
      (self.open, self.path) = (open, path)
    }
  }

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package let filesMayGo = true
  package private(set) var openSplits: [SplitID] = []
  private var elements: [OpenElement]
  /// The source that is read.
  private var current: Int
  private var firstOpen: Int
  /// The source of each split that is not finished, and the number of the split there.
  private var splits: [SplitID: (element: Int, split: SplitID)] = [:]
  private var nextSplit = 0
  private var changes = DoneChanges()

  /// A source of the sequence while it is open.
  private struct OpenElement {
    /// Nil if it is done.
    var source: (any Source)?
    /// The numbers of its splits in the sequence, by those that it gave them: those that are not finished.
    var numbers: [SplitID: SplitID] = [:]
    /// The splits of these that have not ended, by the numbers that it gave them.
    var unended: Set<SplitID> = []
    var hasEnded = false
  }

  /// - Throws: an error for a source that cannot be opened, or for one before the last that cannot be read again.
  package init(_ sequence: [Element], in context: SourceContext) throws(FileError) {
    let progress = context.cursor?.done.flatMap { SequenceProgress($0, count: sequence.count) }
    name = sequence.last?.path ?? "a sequence"
    firstOpen = progress?.doneCount ?? 0
    current = firstOpen
    elements = sequence.map { _ in OpenElement() }
    // The changes of sources that are done need not be kept.
    changes.removed = context.doneSplits.filter { SourceContext.part(of: $0) < firstOpen }
    var others: Set<FileIdentity> = []
    for index in (firstOpen..<sequence.count).reversed() {
      let own = context.part(index, of: progress, besides: others)
      let (source, identity) = try Self.open(sequence[index], in: own)
      guard source.done != nil else {
        throw FileError(operation: .open, path: source.name, errno: ENOTSUP)
      }
      if let identity { others.insert(identity) }
      elements[index].source = source
    }
    for index in elements.indices {
      for split in elements[index].source?.openSplits ?? [] {
        openSplits.append(number(of: split, in: index))
      }
    }
  }

  /// Opens a source.
  ///
  /// - Returns: also the file at its path, if there is one: the one that it has open.
  private static func open(
    _ element: Element, in context: SourceContext
  ) throws(FileError) -> (source: any Source, identity: FileIdentity?) {
    guard let path = element.path else { return (try element.open(context), nil) }
    var looks = 8
    while true {
      let before = try context.fileSystem.identity(of: path)
      let source = try element.open(context)
      looks -= 1
      // The file was replaced meanwhile.
      guard try context.fileSystem.identity(of: path) != before, looks > 0 else {
        return (source, before)
      }
    }
  }

  package var pathOnDisk: String? { elements[current].source?.pathOnDisk }
  package var gap: String? { elements.lazy.compactMap { $0.source?.gap }.first }
  package var isChangedInPlace: Bool { elements.contains { $0.source?.isChangedInPlace ?? false } }

  // MARK: Reading

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    while true {
      let isLast = current == elements.count - 1
      guard let event = try elements[current].source?.read(into: buffer) else { return .end }
      switch event {
      case .data(let split, let chunk): return .data(number(of: split, in: current), chunk)
      case .ended(let split):
        elements[current].unended.remove(split)
        return .ended(number(of: split, in: current))
      case .gap, .idle: return event
      case .end:
        // A file ends without an event of its split.
        if let split = elements[current].unended.popFirst() {
          return .ended(number(of: split, in: current))
        }
        guard !isLast else { return .end }
        elements[current].hasEnded = true
        current += 1
        releaseDone()
      }
    }
  }

  /// The number of a split of a source in the sequence.
  private mutating func number(of split: SplitID, in element: Int) -> SplitID {
    if let known = elements[element].numbers[split] { return known }
    defer { nextSplit += 1 }
    elements[element].numbers[split] = nextSplit
    elements[element].unended.insert(split)
    splits[nextSplit] = (element, split)
    return nextSplit
  }

  /// Releases the sources of which all splits are finished.
  private mutating func releaseDone() {
    while firstOpen < current, elements[firstOpen].numbers.isEmpty {
      if let last = elements[firstOpen].source?.takeDoneChanges() { changes.append(last) }
      elements[firstOpen].source = nil
      firstOpen += 1
    }
  }

  // MARK: Splits

  private func source(of split: SplitID) -> (source: any Source, element: Int, split: SplitID)? {
    guard let place = splits[split], let source = elements[place.element].source else { return nil }
    return (source, place.element, place.split)
  }

  package func start(of split: SplitID) -> SplitStart {
    source(of: split).map { $0.source.start(of: $0.split) } ?? SplitStart(name: name)
  }

  package func file(of split: SplitID) -> (any File)? {
    source(of: split).flatMap { $0.source.file(of: $0.split) }
  }

  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    guard let found = source(of: split),
      let mark = try found.source.mark(of: found.split, at: offset)
    else { return nil }
    return SequenceProgress.mark(mark, ofElement: found.element)
  }

  package var done: OpaqueBytes? {
    SequenceProgress(
      doneCount: firstOpen,
      others: elements[firstOpen...].map { $0.source?.done ?? OpaqueBytes() }
    ).opaque
  }

  package mutating func takeDoneChanges() -> DoneChanges {
    for index in firstOpen..<elements.count {
      if let own = elements[index].source?.takeDoneChanges() { changes.append(own) }
    }
    defer { changes = DoneChanges() }
    return changes
  }

  package mutating func abandon(_ split: SplitID) {
    guard let place = splits[split] else { return }
    elements[place.element].unended.remove(place.split)
    elements[place.element].source?.abandon(place.split)
  }

  package mutating func finish(_ split: SplitID) throws(FileError) {
    guard let place = splits.removeValue(forKey: split) else { return }
    try elements[place.element].source?.finish(place.split)
    elements[place.element].numbers[place.split] = nil
    releaseDone()
  }

  package mutating func drain() -> Bool { elements[current].source?.drain() ?? false }
}

/// How far a sequence has come: the number of sources that are done, and the data of each other one about its done
/// splits.
struct SequenceProgress: Equatable {
  var doneCount: Int
  var others: [OpaqueBytes]

  init(doneCount: Int, others: [OpaqueBytes]) {
    (self.doneCount, self.others) = (doneCount, others)
  }

  /// Parses the output of `opaque`; nil for other bytes, and for a sequence of another number of sources.
  init?(_ opaque: OpaqueBytes, count: Int) {
    let lines = opaque.bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    guard let first = lines.first, let doneCount = Int(String(decoding: first, as: UTF8.self)),
      0..<count ~= doneCount, lines.count - 1 == count - doneCount
    else { return nil }
    self.doneCount = doneCount
    others = lines.dropFirst().map { OpaqueBytes(Array($0)) }
  }

  /// As lines: the number, and the data of each source, which has no line end.
  var opaque: OpaqueBytes {
    OpaqueBytes(
      Array("\(doneCount)".utf8) + others.flatMap { [0x0A] + $0.bytes })
  }

  /// The mark of a split, with the number of its source.
  static func mark(_ mark: OpaqueBytes, ofElement index: Int) -> OpaqueBytes {
    OpaqueBytes(Array("\(index):".utf8) + mark.bytes)
  }

  /// The cursor as its source wrote it; nil if it is that of another source.
  static func cursor(_ cursor: SplitCursor, ofElement index: Int) -> SplitCursor? {
    let prefix = Array("\(index):".utf8)
    guard let bytes = cursor.source?.bytes, bytes.starts(with: prefix) else { return nil }
    var own = cursor
    own.source = OpaqueBytes(Array(bytes.dropFirst(prefix.count)))
    return own
  }
}

extension SourceContext {
  /// The context of a source of a sequence.
  fileprivate func part(
    _ index: Int, of progress: SequenceProgress?, besides others: Set<FileIdentity>
  ) -> SourceContext {
    var own = self
    own.part = index
    own.others = others
    own.doneSplits = doneSplits.filter { Self.part(of: $0) == index }
    own.cursor = nil
    if let progress, let cursor {
      var whole = cursor
      whole.splits = cursor.splits.compactMap {
        SequenceProgress.cursor($0, ofElement: index)
      }
      whole.done = progress.others[index - progress.doneCount]
      own.cursor = whole
    }
    return own
  }
}
