internal import Configuration
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

extension SinkKind {
  /// A FIFO. Its readers may change.
  package static let fifo = SinkKind(
    name: "fifo", settings: FIFOSinkSettings.group, trial: .looking,
    place: { .path(FIFOSinkSettings.path, in: $0) },
    open: { values in
      let (path, create) = (values[FIFOSinkSettings.path], values[FIFOSinkSettings.create])
      return { context throws(FileError) in
        try FIFOSink(path: path, create: create, statistics: context.statistics)
      }
    })
}

/// The settings of a FIFO that is written to.
private enum FIFOSinkSettings {
  static let group = SettingGroup("fifo", [path, create])
  static let path = Setting(
    required: "path", .path, help: "A FIFO whose readers come and go.")
  static let create = Setting(
    "create", .bool, default: false, help: "Whether to make the FIFO if it is not there.")
}

// Invariants:
// - For the current reader, `queue` begins at the boundary of a write. Without a reader, nothing of it was sent.
// - `pending` is the write that no reader has taken completely.

/// Writes to one reader after another through a FIFO. Each reader starts with the prologue and a whole write.
///
/// Without a reader, the sink keeps one write, and `push` waits.
struct FIFOSink: ByteSink {
  /// The interval at which the sink looks for a reader, since no descriptor reports one.
  private static let lookoutSeconds = 0.1

  let name: String
  private var writer: Descriptor?
  /// Nil until the stream has begun. Readers wait until then.
  private var prologue: [UInt8]?
  /// The prologue after the pending write.
  private var nextPrologue: [UInt8]?
  private var epilogue: [UInt8] = []
  private var pending: [UInt8] = []
  private var queue = SubscriberQueue(prologue: [])
  private let statistics: ConnectorStatistics

  init(
    path: String, create: Bool, statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    name = path
    self.statistics = statistics
    // Otherwise the signal would end the process when a reader disconnects. write(2) has no MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN)
    if create { try Descriptor.makeFIFO(path) }
    var status = stat()
    try posix(.inspect, path) { stat(path, &status) }
    // A file that is no FIFO would be overwritten.
    guard status.st_mode & S_IFMT == S_IFIFO else {
      throw FileError(operation: .open, path: path, errno: ENOTSUP)
    }
  }

  var attention: Awaiting? {
    guard prologue != nil else { return nil }
    // The writing end of a FIFO is never readable. It wakes the stage when the reader has gone.
    return writer.map { Awaiting(.readable(descriptor: $0.number)) }
      ?? Awaiting(nil, seconds: Self.lookoutSeconds)
  }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    self.epilogue = try streamed(epilogue)
    self.prologue = prologue
    queue = SubscriberQueue(prologue: prologue)
  }

  mutating func changePrologue(to prologue: [UInt8]) {
    if pending.isEmpty { self.prologue = prologue } else { nextPrologue = prologue }
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    pending = bytes
    _ = queue.append(bytes)
  }

  mutating func push() throws(FileError) -> Awaiting? {
    guard prologue != nil else { return nil }
    forgetGoneReader()
    defer {
      statistics.hasNoReader.store(writer == nil && !pending.isEmpty, ordering: .relaxed)
    }
    while true {
      guard let writer = try currentWriter() else {
        return pending.isEmpty ? nil : Awaiting(nil, seconds: Self.lookoutSeconds)
      }
      guard !queue.isEmpty else {
        pending = []
        if let next = nextPrologue.take() { prologue = next }
        return nil
      }
      do throws(FileError) {
        guard let count = try writeSome(queue.unsent, to: writer.number, path: name) else {
          return Awaiting(.writable(descriptor: writer.number))
        }
        queue.advance(by: count)
      } catch  where error.errno == EPIPE {
        forgetReader()
      }
    }
  }

  mutating func end() throws(FileError) {
    if writer != nil { _ = queue.append(epilogue) }
  }

  mutating func finish() throws(FileError) {
    _ = try push()
    writer = nil
  }

  /// The FIFO, opened for its reader; nil if there is none.
  private mutating func currentWriter() throws(FileError) -> Descriptor? {
    if let writer { return writer }
    do throws(FileError) {
      let number = try posix(.open, name) {
        open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
      }
      writer = Descriptor(adopting: number, path: name)
      return writer
    } catch  where error.errno == ENXIO {
      return nil
    }
  }

  /// Closes the FIFO if its reader has gone. The kernel then drops the bytes that no reader took.
  private mutating func forgetGoneReader() {
    guard let writer else { return }
    var query = pollfd(fd: writer.number, events: 0, revents: 0)
    if poll(&query, 1, 0) > 0, query.revents & CShort(POLLERR) != 0 { forgetReader() }
  }

  /// Starts again for the next reader.
  private mutating func forgetReader() {
    writer = nil
    queue = SubscriberQueue(prologue: prologue ?? [])
    _ = queue.append(pending)
  }
}
