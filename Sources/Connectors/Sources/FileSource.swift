internal import Configuration
internal import Dataflow
package import Storage

extension SourceKind {
  /// A path: a file, read to its end, or a FIFO or device, read until it is closed.
  package static let file = SourceKind(
    name: "file", isLive: false, settings: SettingGroup("file", [filePath]), isShareable: true,
    locate: { location, _ in factory(location) },
    place: { .path(filePath, in: $0) },
    open: { values in factory(values[filePath], isRemembered: true) })

  private static let filePath = Setting(
    required: "path", .path, help: "A file, read to its end.")

  /// The standard input of the process, written `-`.
  package static let standardInput = SourceKind(
    name: "stdin", isLive: true, settings: SettingGroup("stdin"), trial: .none,
    locate: { location, _ in location == "-" ? standardInputFactory : nil },
    place: { _ in .process },
    open: { _ in standardInputFactory })

  private static func factory(_ path: String, isRemembered: Bool = false) -> SourceFactory {
    { context throws(FileError) in
      try FileSource(context.fileSystem.open(path, for: .reading), isRemembered: isRemembered)
    }
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
  package private(set) var progress: [String]?
  private let file: any File
  private let mark: String

  /// - Parameter isRemembered: whether a later source is to go on where this one ends.
  package init(_ file: any File, isRemembered: Bool = false) throws(FileError) {
    let status = try file.status()
    self.file = file
    name = file.path
    mark = "\(status.identity.inode)/\(file.path.split(separator: "/").last ?? "")"
    progress = isRemembered && status.kind == .regular ? [] : nil
    size = status.kind == .regular ? status.size : nil
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceRead {
    if size == nil, let descriptor = file.unreadyDescriptor() {
      return .waits(Awaiting(.readable(descriptor: descriptor)))
    }
    guard progress != [mark] else { return .end }
    let count = try file.read(into: buffer)
    if count > 0 { return .bytes(count, run: 0) }
    if progress != nil { progress = [mark] }
    return .end
  }

  package func mark(ofRun run: Int) -> String? { progress == nil ? nil : mark }

  package mutating func resume(from progress: [String], run mark: String?) {
    if self.progress != nil, progress == [self.mark] { self.progress = progress }
  }

  package mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool {
    try file.seek(within: offset)
  }

  package mutating func abandon(run: Int) {}
}
