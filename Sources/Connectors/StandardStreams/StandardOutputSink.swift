internal import Configuration
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage

extension SinkKind {
  /// The standard output of the process, written `-`.
  package static let standardOutput = SinkKind(
    name: "stdout", settings: SettingGroup("stdout"), trial: .none, descriptorCount: 1,
    locate: { location, _ in location == "-" ? factory : nil },
    isCompressed: { _ in isStandardOutputCompressed() },
    place: { _ in .process },
    open: { _ in factory })

  private static let factory: SinkFactory = { _ throws(FileError) in
    try StandardOutputSink()
  }
}

/// Whether output to stdout is compressed by default: into a pipe or a socket always, on a terminal never, and
/// into a file if its name says so.
package func isStandardOutputCompressed() -> Bool {
  var status = stat()
  guard isatty(STDOUT_FILENO) == 0, fstat(STDOUT_FILENO, &status) == 0 else { return false }
  guard status.st_mode & S_IFMT == S_IFREG else { return true }
  return POSIXFileSystem().linkTarget(of: "/proc/self/fd/1").map(OutputName.isCompressed) ?? false
}

/// Passes bytes to the reader of the standard output. Never waits for a slow reader.
struct StandardOutputSink: ByteSink {
  let name: String
  let pathOnDisk: String?
  private let descriptor: CInt
  /// A pipe, opened once more, so that it has `O_NONBLOCK`. The sink cannot set that for the descriptor that it got,
  /// because other processes share it.
  private let ownPipe: Descriptor?
  /// The most bytes of one write(2). After poll(2) has reported room, a pipe takes this number without waiting.
  private let stride: Int
  private var pending: [UInt8] = []
  private var written = 0
  private var epilogue: [UInt8] = []

  init(descriptor: CInt = STDOUT_FILENO, name: String = "stdout") throws(FileError) {
    self.name = name
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw FileError(operation: .inspect, path: name, errno: errno)
    }
    let isRegular = status.st_mode & S_IFMT == S_IFREG
    pathOnDisk = isRegular ? "/dev/stdout" : nil
    ownPipe =
      status.st_mode & S_IFMT == S_IFIFO ? Self.openedAgain(descriptor, name: name) : nil
    self.descriptor = ownPipe?.number ?? descriptor
    stride = isRegular || ownPipe != nil ? .max : Int(PIPE_BUF)
  }

  /// The same pipe; nil if it cannot be opened, as when another user made it.
  private static func openedAgain(_ descriptor: CInt, name: String) -> Descriptor? {
    let number = open("/proc/self/fd/\(descriptor)", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
    return number < 0 ? nil : Descriptor(adopting: number, path: name)
  }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    self.epilogue = try streamed(epilogue)
    pending += prologue
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    if pending.isEmpty { pending = bytes } else { pending += bytes }
  }

  mutating func push() throws(FileError) -> Awaiting? {
    while written < pending.count {
      guard ownPipe != nil || hasRoom else {
        return Awaiting(.writable(descriptor: descriptor))
      }
      let some = pending[written...].prefix(stride)
      guard let count = try writeSome(some, to: descriptor, path: name) else {
        return Awaiting(.writable(descriptor: descriptor))
      }
      written += count
    }
    pending.removeAll(keepingCapacity: pending.count <= 1 << 20)
    written = 0
    return nil
  }

  private var hasRoom: Bool {
    var query = pollfd(fd: descriptor, events: CShort(POLLOUT), revents: 0)
    return poll(&query, 1, 0) != 0
  }

  mutating func end() throws(FileError) {
    try write(epilogue)
  }

  mutating func finish() throws(FileError) {
    _ = try push()
  }
}
