internal import Configuration
internal import Dataflow
internal import Storage

extension SinkKind {
  /// A path.
  ///
  /// On the command line the file appears under its name when it is complete, and not before; in a
  /// configuration it grows in place, and is rotated. A device (on the command line a FIFO too) is
  /// written to and never replaced.
  package static let file = SinkKind(
    name: "file",
    locate: { location, _ in
      { context throws(FileError) in
        let fileSystem = context.fileSystem
        if isSpecial(location, in: fileSystem, [.fifo, .other]) {
          return PassingSink(try fileSystem.open(location, for: .writing))
        }
        return WholeFileSink(try AtomicFile(replacing: location, in: fileSystem))
      }
    },
    configure: { section in
      let path = section.string("path")
      let rotation = rotation(section.section("rotate"))
      return { context throws(FileError) in
        let fileSystem = context.fileSystem
        // A FIFO without a reader would hold up the whole stream here; it has a sink of its own.
        if isSpecial(path, in: fileSystem, [.other]) {
          return PassingSink(try fileSystem.open(path, for: .writing))
        }
        return try RotatingFileSink(
          path: path, rotation: rotation, in: fileSystem, clock: context.clock)
      }
    },
    trial: .replacing)

  private static func rotation(_ section: ConfigurationSection?) -> RotatingFileSink.Rotation {
    guard let section else { return .init() }
    return .init(
      byteLimit: section.optionalBytes("size", in: 4 << 10...1 << 50),
      ageLimitSeconds: section.optionalSeconds("age", in: 1...366 * 86400))
  }

  /// The names that lead to what the process has open, whatever its kind.
  private static let descriptors = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"]

  /// Whether a path leads to what is to be written to as it stands.
  private static func isSpecial(
    _ path: String, in fileSystem: any FileSystem, _ kinds: [FileStatus.Kind]
  ) -> Bool {
    if descriptors.contains(where: { path.hasPrefix($0) }) { return true }
    guard let kind = try? fileSystem.status(of: path).kind else { return false }
    return kinds.contains(kind)
  }
}

/// Writes a file that appears under its name whole, or not at all.
struct WholeFileSink: ByteSink {
  private let file: AtomicFile

  init(_ file: AtomicFile) {
    self.file = file
  }

  var name: String { file.path }

  mutating func begin(_ prologue: [UInt8]) throws(FileError) {
    try file.write(prologue)
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func push() throws(FileError) -> Awaiting? { nil }

  mutating func finish() throws(FileError) {
    try file.commit()
  }
}

/// Passes bytes to a device, or to whoever reads them at the other end.
struct PassingSink: ByteSink {
  private let file: any File

  init(_ file: any File) {
    self.file = file
  }

  var name: String { file.path }

  mutating func begin(_ prologue: [UInt8]) throws(FileError) {
    try file.write(prologue)
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func push() throws(FileError) -> Awaiting? { nil }

  mutating func finish() throws(FileError) {
    try file.close()
  }
}
