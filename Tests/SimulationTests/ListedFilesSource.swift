import Connectors
import Storage

/// Reads the files of a directory in the order of their names, each as a run, and ends: what
/// `DirectorySource` does without its inotify, which no simulation can drive.
struct ListedFilesSource: ByteSource {
  let name: String
  let size: Int?
  let endsAnywhere = false
  private let directory: String
  private let fileSystem: any FileSystem
  private var waiting: [String]
  private var finished: [String] = []
  private var current: (mark: String, file: any File)?
  private var run = -1

  private let waits: Bool
  private var hasWaited = false

  /// - Parameter waits: whether it has nothing now before each read that gives something, as live
  ///   sources do.
  init(_ directory: String, waits: Bool, in fileSystem: any FileSystem) throws(FileError) {
    self.waits = waits
    name = directory
    size = nil
    self.directory = directory
    self.fileSystem = fileSystem
    waiting = try fileSystem.list(directory)
  }

  var progress: [String]? { finished }

  func mark(ofRun run: Int) -> String? { run == self.run ? current?.mark : nil }

  mutating func resume(from progress: [String], run mark: String?) throws(FileError) {
    finished = progress
  }

  mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool {
    guard run == self.run, let current else { return false }
    return try current.file.seek(within: offset)
  }

  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceRead {
    hasWaited = waits && !hasWaited
    if hasWaited { return .waits(Awaited(descriptor: nil, seconds: 0)) }
    while true {
      if let (mark, file) = current {
        let count = try file.read(into: buffer)
        if count > 0 { return .bytes(count, run: run) }
        current = nil
        finished.append(mark)
        return .ended(run: run)
      }
      guard let next = waiting.first else { return .end }
      waiting.removeFirst()
      let file = try fileSystem.open("\(directory)/\(next)", for: .reading)
      let mark = "\(try file.status().identity.inode)/\(next)"
      guard !finished.contains(mark) else { continue }
      run += 1
      current = (mark, file)
    }
  }

  mutating func abandon(run: Int) {}
}
