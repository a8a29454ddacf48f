internal import Configuration
internal import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A FIFO, whose writers come and go.
  package static let fifo = SourceKind(
    name: "fifo", isLive: true, settings: FIFOSourceSettings.group, trial: .looking,
    place: { .path(FIFOSourceSettings.path, in: $0) },
    open: { values in
      let (path, create) = (values[FIFOSourceSettings.path], values[FIFOSourceSettings.create])
      return { _ throws(FileError) in try FIFOSource(path, create: create) }
    })
}

/// What can be set of a FIFO that is read.
private enum FIFOSourceSettings {
  static let group = SettingGroup("fifo", [path, create])
  static let path = Setting(
    required: "path", .path, help: "A FIFO whose writers come and go.")
  static let create = Setting(
    "create", .bool, default: false, help: "Whether to make the FIFO if it is not there.")
}

// Invariant: the FIFO always has a reader, since it is opened anew before it is closed; a writer
// between two splits is never broken off.

/// Reads a FIFO for ever: from when it has a writer until it has none is one split.
package struct FIFOSource: Source {
  /// Of an abandoned split, so many reads at most are thrown away before the caller has its turn.
  private static let mostDiscardedReads = 16

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = true
  private var descriptor: Descriptor
  private var split: SplitID = 0
  private var hasGiven = false
  private var isAbandoned = false
  /// Bytes that a drain still takes; nil while the source is not draining.
  private var bytesLeft: Int?

  /// - Parameter create: makes the FIFO where nothing stands at the path, for its owner alone.
  package init(_ path: String, create: Bool) throws(FileError) {
    name = path
    if create { try Descriptor.makeFIFO(path) }
    descriptor = try Descriptor.openFIFO(path)
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    for _ in 0..<Self.mostDiscardedReads {
      if bytesLeft == 0 { return .end }
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(bytesLeft ?? .max))
      guard let count = try descriptor.read(into: part) else { break }
      guard count == 0 else {
        bytesLeft = bytesLeft.map { $0 - count }
        hasGiven = true
        if isAbandoned { continue }
        return .data(split, .bytes(count))
      }
      // The hang-up of writers that are gone stays with a descriptor: a new one waits for new writers.
      descriptor = try Descriptor.openFIFO(descriptor.path)
      guard hasGiven else { break }
      defer { (hasGiven, isAbandoned) = (false, false) }
      split += 1
      if !isAbandoned { return .ended(split - 1) }
    }
    return bytesLeft != nil ? .end : .idle(Awaiting(.readable(descriptor: descriptor.number)))
  }

  /// Ends the source after the bytes that are in the pipe now; the next reader gets later ones.
  package mutating func drain() -> Bool {
    bytesLeft = descriptor.bytesAtHand
    return true
  }

  package mutating func abandon(_ split: SplitID) {
    if split == self.split { isAbandoned = true }
  }
}
