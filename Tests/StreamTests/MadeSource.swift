import Connectors
import Dataflow
import Glibc
import Records
import Storage
import Synchronization

/// A source of several splits, whose events are made up.
struct MadeSource: Source {
  enum Event: Sendable {
    case bytes(SplitID, [UInt8])
    case ended(SplitID)
  }

  /// The offsets that the source was told.
  final class Log: Sendable {
    private let offsets = Mutex<[SplitID: Int]>([:])
    var settled: [SplitID: Int] { offsets.withLock { $0 } }
    func settle(_ split: SplitID, at offset: Int) { offsets.withLock { $0[split] = offset } }
  }

  let name = "made"
  let size: Int? = nil
  let endsAnywhere: Bool
  let log = Log()
  /// Called with each read.
  var onRead: @Sendable () -> Void = {}
  /// The descriptor to wait for.
  private let idle: CInt
  private var events: ArraySlice<Event>

  /// - Parameter hasMarks: whether a later run resumes.
  init(_ events: [Event], hasMarks: Bool = false, idle: CInt = -1) {
    self.events = events[...]
    endsAnywhere = !hasMarks
    self.idle = idle
  }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceEvent {
    onRead()
    switch events.popFirst() {
    case .bytes(let split, let bytes):
      buffer.copyBytes(from: bytes.prefix(buffer.count))
      if bytes.count > buffer.count {
        events.insert(.bytes(split, Array(bytes.dropFirst(buffer.count))), at: events.startIndex)
      }
      return .data(split, .bytes(min(bytes.count, buffer.count)))
    case .ended(let split): return .ended(split)
    case nil: return .idle(Awaiting(.readable(descriptor: idle)))
    }
  }

  mutating func settled(_ split: SplitID, at offset: Int) { log.settle(split, at: offset) }
  mutating func abandon(_ split: SplitID) {}
}

/// A pipe whose ends are closed when it is released.
final class MadePipe: Sendable {
  let reading, writing: CInt

  init() throws {
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw FileError(operation: .open, path: "pipe", errno: errno) }
    (reading, writing) = (ends[0], ends[1])
  }

  deinit {
    close(reading)
    close(writing)
  }

  func write() {
    var byte: UInt8 = 1
    _ = Glibc.write(writing, &byte, 1)
  }

  func read() {
    var byte: UInt8 = 0
    _ = Glibc.read(reading, &byte, 1)
  }
}

/// Whether a descriptor can be read now.
func isReadable(_ descriptor: CInt) -> Bool {
  var query = pollfd(fd: descriptor, events: CShort(POLLIN), revents: 0)
  return poll(&query, 1, 0) > 0
}
