internal import Dataflow
internal import Glibc
package import Storage

// Invariants:
// - The files before `next` have ended. The file at `next` is open as `file`, or is not opened yet.
// - The number of a split is the index of its file.

/// Reads several files one after another, each to its end, as the splits of one stream. A later source cannot resume
/// within them.
package struct FilesSource: Source {
  package let name: String
  /// The bytes of all files; nil if one of them is not a regular file.
  package let size: Int?
  package let endsAnywhere = false
  private let paths: [String]
  private let fileSystem: any FileSystem
  private var next: SplitID = 0
  private var file: (any File)?

  /// Opens files in the order of `paths`.
  package static func factory(_ paths: [String]) -> SourceFactory {
    { context throws(FileError) in try FilesSource(paths, in: context.fileSystem) }
  }

  /// - Throws: an error for the first file that is missing.
  init(_ paths: [String], in fileSystem: any FileSystem) throws(FileError) {
    self.paths = paths
    self.fileSystem = fileSystem
    name = "\(paths.count) files"
    var size: Int? = 0
    for path in paths {
      let status = try fileSystem.status(of: path)
      size = status.kind == .regular ? size.map { $0 + status.size } : nil
    }
    self.size = size
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    guard next < paths.count else { return .end }
    let file: any File
    if let open = self.file {
      file = open
    } else {
      file = try fileSystem.open(paths[next], for: .reading)
      self.file = file
    }
    if let descriptor = file.unreadyDescriptor() {
      return .idle(Awaiting(.readable(descriptor: descriptor)))
    }
    let count = try file.read(into: buffer)
    if count > 0 { return .data(next, .bytes(count)) }
    try file.close()
    self.file = nil
    next += 1
    return .ended(next - 1)
  }

  package func start(of split: SplitID) -> SplitStart {
    SplitStart(name: paths[split].split(separator: "/").last.map(String.init) ?? paths[split])
  }

  package func file(of split: SplitID) -> (any File)? { split == next && size != nil ? file : nil }

  package mutating func abandon(_ split: SplitID) {
    guard split == next else { return }
    file = nil
    next += 1
  }
}
