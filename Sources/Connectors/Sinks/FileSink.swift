internal import Storage

extension SinkKind {
  /// A path: the file appears under its name when it is complete, and not before.
  package static let file = SinkKind(
    name: "file", accepts: { _, _ in true },
    open: { location, fileSystem throws(FileError) in
      FileSink(try AtomicFile(replacing: location, in: fileSystem))
    })

  /// The standard output of the process, written `-`.
  package static let standardOutput = SinkKind(
    name: "stdout", accepts: { location, _ in location == "-" },
    open: { _, _ throws(FileError) in PassingSink(POSIXFile.standardOutput()) })

  /// The names that lead to what the process has open, whatever its kind.
  private static let descriptors = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"]

  /// A path that leads to a FIFO or a device, which is written to and never replaced.
  package static let special = SinkKind(
    name: "special",
    accepts: { location, fileSystem in
      if descriptors.contains(where: { location.hasPrefix($0) }) { return true }
      guard let kind = try? fileSystem.status(of: location).kind else { return false }
      return kind == .fifo || kind == .other
    },
    open: { location, fileSystem throws(FileError) in
      PassingSink(try fileSystem.open(location, for: .writing))
    })
}

/// Writes a file that appears under its name whole, or not at all.
struct FileSink: ByteSink {
  private let file: AtomicFile

  init(_ file: AtomicFile) {
    self.file = file
  }

  var name: String { file.path }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func finish() throws(FileError) {
    try file.commit()
  }
}

/// Passes bytes to whoever reads them at the other end.
struct PassingSink: ByteSink {
  private let file: any File

  init(_ file: any File) {
    self.file = file
  }

  var name: String { file.path }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func finish() throws(FileError) {
    try file.close()
  }
}
