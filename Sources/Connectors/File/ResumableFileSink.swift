package import Dataflow
package import Records
package import Storage

// Invariant: the file gets its name only when it is complete. Until then it grows as `partial`.

/// Writes a file that gets its name only when it is complete. If the run is killed, a later run can resume it.
package struct ResumableFileSink: ByteSink {
  package let name: String
  /// The path that symbolic links at `name` lead to.
  private let target: String
  private let partial: String
  private let fileSystem: any FileSystem
  private var growing: RotatingFileSink?
  private var prologue: [UInt8] = []
  private var epilogue: (any Epilogue)?
  /// The end of a file that an earlier run has completed. Nothing more is written then.
  private var completed: OutputPosition?

  /// Opens nothing. `begin` or `resume` does.
  package init(_ path: String, in fileSystem: any FileSystem) throws(FileError) {
    name = path
    target = try fileSystem.resolved(path)
    let last = target.split(separator: "/").last ?? ""
    partial = parentDirectory(of: target) + "/." + last + ".evenkeel-partial"
    self.fileSystem = fileSystem
  }

  package var pathOnDisk: String? { parentDirectory(of: target) }
  package var outputPosition: OutputPosition? { completed ?? growing?.outputPosition }

  /// - Throws: an error if the earlier output does not exist any more.
  package mutating func resume(at position: OutputPosition) throws(FileError) {
    do throws(FileError) {
      _ = try fileSystem.status(of: partial)
    } catch  where error.isMissing {
      // The earlier run completed the file, and was killed before it could report that.
      let size = try fileSystem.status(of: target).size
      let isComplete =
        position.hasEpilogue == true ? size > position.byteCount : size == position.byteCount
      guard isComplete else { throw error }
      completed = position
      return
    }
    growing = try RotatingFileSink(path: partial, rotation: .init(), in: fileSystem, at: position)
  }

  package mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    guard completed == nil else { return }
    self.prologue = prologue
    self.epilogue = epilogue
    if growing == nil {
      // The file of a run that never reached a checkpoint cannot be resumed.
      do throws(FileError) {
        try fileSystem.remove(partial)
      } catch  where error.isMissing {
        // There was none.
      }
      growing = try RotatingFileSink(path: partial, rotation: .init(), in: fileSystem)
      if let permissions = try? fileSystem.status(of: target).permissions {
        try fileSystem.setPermissions(permissions, of: partial)
      }
    }
    try growing?.begin(prologue, endingWith: epilogue)
  }

  package mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try growing?.write(bytes)
  }

  package mutating func write(pieces: [[UInt8]]) throws(FileError) {
    try growing?.write(pieces: pieces)
  }

  package mutating func push() throws(FileError) -> Awaiting? { nil }

  package mutating func changePrologue(to prologue: [UInt8]) {
    self.prologue = prologue
    growing?.changePrologue(to: prologue)
  }

  package mutating func sync() throws(FileError) {
    try growing?.sync()
  }

  package mutating func finish() throws(FileError) {
    guard var growing else { return }
    if growing.outputPosition?.byteCount == 0 {
      // There was no record, so the file contains only the prologue.
      try growing.begin([], endingWith: epilogue)
      try growing.write(prologue)
    }
    try growing.finish()
    try fileSystem.rename(partial, to: target)
    try fileSystem.syncDirectory(parentDirectory(of: target))
  }
}
