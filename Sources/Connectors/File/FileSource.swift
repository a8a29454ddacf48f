internal import Configuration
internal import Dataflow
package import Records
package import Storage

extension SourceKind {
  /// A path: a file that is read to its end, or a FIFO or device that is read until it is closed.
  package static let file = SourceKind(
    name: "file", isLive: false, settings: SettingGroup("file", [filePath]), isShareable: true,
    locate: { location, _ in factory(location) },
    place: { .path(filePath, in: $0) },
    openBacklog: { values in factory(values[filePath]) },
    open: { values in factory(values[filePath]) })

  private static let filePath = Setting(
    required: "path", .path, help: "A file, read to its end.")

  private static func factory(_ path: String) -> SourceFactory {
    { context throws(FileError) in
      try FileSource(context.fileSystem.open(path, for: .reading), cursor: context.cursor)
    }
  }
}

/// Reads an open file to its end, as one split. A pipe or a terminal is read as bytes arrive, and cannot be read
/// again.
package struct FileSource: Source {
  private static let split: SplitID = 0

  package let name: String
  package let size: Int?
  package let endsAnywhere = false
  package private(set) var gap: String?
  package private(set) var isChangedInPlace = false
  package private(set) var done: OpaqueBytes?
  private let file: any File
  private let start: SplitStart
  private let isResumed: Bool
  private var hasEnded = false

  /// - Parameter cursor: the cursor of an earlier source. If the file is another one, or was changed before the
  ///   cursor, the source reads it from its beginning.
  package init(_ file: any File, cursor: InputCursor? = nil) throws(FileError) {
    let status = try file.status()
    let isReplayable = status.kind == .regular
    self.file = file
    name = file.path
    size = isReplayable ? status.size : nil
    let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
    var start = SplitStart(name: name)
    var isResumed = false
    if isReplayable {
      let done = cursor?.done ?? OpaqueBytes()
      let split = cursor?.splits.first
      let mark = FileMark(done) ?? split?.source.flatMap { FileMark($0) }
      self.done = OpaqueBytes()
      if let mark, let split, FileMark(done) != nil || mark.isOf(split) {
        // A file with another name may be a copy, but it is another input.
        let isSame = mark.identity == status.identity || split.split == name && split.records > 0
        if isSame, try mark.fits(file) {
          if FileMark(done) != nil {
            self.done = done
            hasEnded = true
          } else {
            start = SplitStart(split)
            start.name = name
            try file.seek(to: split.sourceOffset)
            isResumed = true
          }
        } else {
          isChangedInPlace = mark.identity == status.identity
          gap =
            "expected byte \(mark.offset) of \(split.split) after the bytes that were read, found "
            + (split.split == name ? "other bytes" : "another file")
        }
      }
    }
    self.start = start
    self.isResumed = isResumed
  }

  package var openSplits: [SplitID] { isResumed ? [Self.split] : [] }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    if size == nil, let descriptor = file.unreadyDescriptor() {
      return .idle(Awaiting(.readable(descriptor: descriptor)))
    }
    guard !hasEnded else { return .end }
    let count = try file.read(into: buffer)
    if count > 0 { return .data(Self.split, .bytes(count)) }
    hasEnded = true
    return .end
  }

  package func start(of split: SplitID) -> SplitStart { start }

  package func file(of split: SplitID) -> (any File)? { size == nil ? nil : file }

  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    done == nil ? nil : try FileMark(file, at: offset).opaque
  }

  package mutating func abandon(_ split: SplitID) { hasEnded = true }

  package mutating func finish(_ split: SplitID) throws(FileError) {
    if let size, done != nil { done = try FileMark(file, at: size).opaque }
  }
}
