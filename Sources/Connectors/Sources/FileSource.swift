internal import ConfigurationFile
package import Storage

extension SourceKind {
  /// A path: a file, read to its end, or a FIFO or device, read until it is closed.
  package static let file = SourceKind(
    name: "file", isLive: false,
    locate: { location, _ in factory(location) },
    configure: { section in factory(section.string("path")) },
    isShareable: true)

  /// The standard input of the process, written `-`.
  package static let standardInput = SourceKind(
    name: "stdin", isLive: true,
    locate: { location, _ in location == "-" ? standardInputFactory : nil },
    configure: { _ in standardInputFactory },
    trial: .none)

  private static func factory(_ path: String) -> SourceFactory {
    { fileSystem throws(FileError) in try FileSource(fileSystem.open(path, for: .reading)) }
  }

  private static let standardInputFactory: SourceFactory = { _ throws(FileError) in
    try FileSource(POSIXFile.standardInput())
  }
}

/// Reads an open file to its end; where it is a pipe or a terminal, as far as there is something.
package struct FileSource: ByteSource {
  package let name: String
  package let size: Int?
  package let endsAnywhere = false
  private let file: any File

  package init(_ file: any File) throws(FileError) {
    let status = try file.status()
    self.file = file
    name = file.path
    size = status.kind == .regular ? status.size : nil
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceRead {
    if size == nil, let descriptor = file.unreadyDescriptor() {
      return .waits(Awaited(descriptor: descriptor))
    }
    let count = try file.read(into: buffer)
    return count > 0 ? .bytes(count, run: 0) : .end
  }

  package mutating func abandon(run: Int) {}
}
