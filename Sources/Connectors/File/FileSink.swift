internal import Configuration
internal import Dataflow
internal import Records
internal import Storage

extension SinkKind {
  /// A file at a path.
  ///
  /// On the command line, the file gets its name only when it is complete. In a configuration it grows in place and
  /// can be rotated. A device is written to and never replaced; on the command line, so is a FIFO.
  package static let file = SinkKind(
    name: "file", settings: FileSinkSettings.group, trial: .replacing,
    locate: { location, _ in
      { context throws(FileError) in
        let fileSystem = context.fileSystem
        if isSpecial(location, in: fileSystem, [.fifo, .other]) {
          return PassingSink(try fileSystem.open(location, for: .writing))
        }
        return WholeFileSink(try AtomicFile(replacing: location, in: fileSystem))
      }
    },
    isCompressed: { OutputName.isCompressed($0[FileSinkSettings.path]) },
    place: { .path(FileSinkSettings.path, in: $0) },
    open: { values in
      let path = values[FileSinkSettings.path]
      let rotation = RotatingFileSink.Rotation(
        byteLimit: values[FileSinkSettings.rotateSize],
        ageLimitSeconds: values[FileSinkSettings.rotateAge],
        keep: values[FileSinkSettings.rotateKeep],
        totalByteLimit: values[FileSinkSettings.rotateTotalSize])
      return { context throws(FileError) in
        let fileSystem = context.fileSystem
        // A FIFO without a reader would block the whole stream here. Use the sink `fifo` for it.
        if isSpecial(path, in: fileSystem, [.other]) {
          return PassingSink(try fileSystem.open(path, for: .writing))
        }
        return try RotatingFileSink(
          path: path, rotation: rotation, in: fileSystem, clock: context.clock,
          statistics: context.statistics)
      }
    })

  /// The paths of files that the process has open, of any kind.
  private static let descriptors = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"]

  /// Whether the file at a path must be written to and not replaced.
  private static func isSpecial(
    _ path: String, in fileSystem: any FileSystem, _ kinds: [FileStatus.Kind]
  ) -> Bool {
    if descriptors.contains(where: { path.hasPrefix($0) }) { return true }
    guard let kind = try? fileSystem.status(of: path).kind else { return false }
    return kinds.contains(kind)
  }
}

/// The settings of a file that is written.
private enum FileSinkSettings {
  static let group = SettingGroup(
    "file", [path, rotateSize, rotateAge, rotateKeep, rotateTotalSize],
    rules: [
      SettingRule { values in
        let settings: [(isGiven: Bool, setting: any SettingDescription)] = [
          (values[rotateKeep] != nil, rotateKeep),
          (values[rotateTotalSize] != nil, rotateTotalSize),
        ]
        guard values[rotateSize] == nil, values[rotateAge] == nil else { return [] }
        return settings.filter(\.isGiven).map {
          SettingViolation(
            $0.setting, expected: .value("rotate.size or rotate.age beside it"), found: "neither")
        }
      }
    ])
  static let path = Setting(
    required: "path", .output(.path), help: "A file, which grows in place.")
  static let rotateSize = Setting(
    "rotate.size", .size(in: 4 << 10...1 << 50),
    help: "At this size the file is complete and a new one begins.")
  static let rotateAge = Setting(
    "rotate.age", .seconds(in: 1...366 * 86400),
    help: "At this age the file is complete and a new one begins.")
  static let rotateKeep = Setting(
    "rotate.keep", .integer(in: 0...1_000_000),
    help:
      "How many complete files stay; older ones are removed. Files since the last checkpoint stay too."
  )
  static let rotateTotalSize = Setting(
    "rotate.total_size", .size(in: 4 << 10...1 << 60),
    help:
      "The most bytes of complete files; the oldest are removed. Files since the last checkpoint stay too."
  )
}

/// Writes a file that gets its name only when it is complete.
struct WholeFileSink: ByteSink {
  private let file: AtomicFile
  private var epilogue: (any Epilogue)?

  init(_ file: AtomicFile) {
    self.file = file
  }

  var name: String { file.path }
  var pathOnDisk: String? { parentDirectory(of: file.path) }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    try file.write(prologue)
    self.epilogue = epilogue
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func write(pieces: [[UInt8]]) throws(FileError) {
    for piece in pieces { try file.write(piece) }
  }

  mutating func push() throws(FileError) -> Awaiting? { nil }

  mutating func finish() throws(FileError) {
    if let epilogue { try file.write(epilogue) }
    try file.commit()
  }
}

/// Passes bytes to a device, or to the reader of a FIFO.
struct PassingSink: ByteSink {
  private let file: any File
  private var epilogue: [UInt8] = []

  init(_ file: any File) {
    self.file = file
  }

  var name: String { file.path }
  // A write to a FIFO waits for its reader.
  var pathOnDisk: String? { file.path }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    self.epilogue = try streamed(epilogue)
    try file.write(prologue)
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
  }

  mutating func write(pieces: [[UInt8]]) throws(FileError) {
    for piece in pieces { try file.write(piece) }
  }

  mutating func push() throws(FileError) -> Awaiting? { nil }

  mutating func end() throws(FileError) {
    try file.write(epilogue)
  }

  mutating func finish() throws(FileError) {
    try file.close()
  }
}
