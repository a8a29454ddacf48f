internal import Configuration
internal import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A FIFO. Its writers may change.
  package static let fifo = SourceKind(
    name: "fifo", isLive: true, splits: .connections, settings: FIFOSourceSettings.group,
    trial: .looking,
    place: { .path(FIFOSourceSettings.path, in: $0) },
    open: { values in
      let (path, create) = (values[FIFOSourceSettings.path], values[FIFOSourceSettings.create])
      return { _ throws(FileError) in try FIFOSource(path, create: create) }
    })
}

/// The settings of a FIFO that is read.
private enum FIFOSourceSettings {
  static let group = SettingGroup("fifo", [path, create])
  static let path = Setting(
    required: "path", .path, help: "A FIFO whose writers come and go.")
  static let create = Setting(
    "create", .bool, default: false, help: "Whether to make the FIFO if it is not there.")
}

// Invariant: the FIFO always has a reader, since a new descriptor is opened before the old one is closed. So no
// writer gets SIGPIPE between two splits.

/// Reads a FIFO for ever. A split lasts while the FIFO has a writer.
package struct FIFOSource: Source {
  /// The most reads of an abandoned split that are dropped in one call.
  private static let mostDiscardedReads = 16

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = true
  private var descriptor: Descriptor
  private var split: SplitID = 0
  private var hasGiven = false
  private var isAbandoned = false
  /// The bytes that `drain` still reads; nil before `drain`.
  private var bytesLeft: Int?

  /// - Parameter create: whether to make the FIFO, only for its owner, if there is no file at the path.
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
      // A descriptor keeps reporting the hang-up of its last writer. A new descriptor waits for new writers.
      descriptor = try Descriptor.openFIFO(descriptor.path)
      guard hasGiven else { break }
      defer { (hasGiven, isAbandoned) = (false, false) }
      split += 1
      if !isAbandoned { return .ended(split - 1) }
    }
    return bytesLeft != nil ? .end : .idle(Awaiting(.readable(descriptor: descriptor.number)))
  }

  /// Ends the source after the bytes that are in the pipe now. The next reader gets later ones.
  package mutating func drain() -> Bool {
    bytesLeft = descriptor.readableBytes
    return true
  }

  package mutating func abandon(_ split: SplitID) {
    if split == self.split { isAbandoned = true }
  }
}
