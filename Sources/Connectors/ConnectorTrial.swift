package import Storage

/// How a connector is tried by `evenkeel check --connect`, so that nobody at its other end notices and
/// no data is taken or lost.
package enum ConnectorTrial: Sendable {
  /// It is opened and let go.
  case opening
  /// It is only looked for: to open a FIFO wakes whoever waits at its other end.
  case looking
  /// A file is made beside it and removed again: to open it would replace or rotate what is there.
  case replacing
  /// There is nothing to try: the process has it open.
  case none

  /// Tries the connector.
  ///
  /// - Parameters:
  ///   - path: where it is, if it is a file.
  ///   - open: opens it.
  package func run(
    path: String?, in fileSystem: any FileSystem, open: () throws(FileError) -> Void
  ) throws(FileError) {
    switch (self, path) {
    case (.none, _): break
    case (.opening, _), (_, nil): try open()
    case (.looking, let path?):
      do throws(FileError) {
        _ = try fileSystem.status(of: path)
      } catch  where error.isMissing {
        // It may be the connector's to make.
        _ = try fileSystem.status(of: parentDirectory(of: path))
      }
    case (.replacing, let path?):
      if let kind = try? fileSystem.status(of: path).kind, kind == .fifo || kind == .other { break }
      // Removed again when it is let go.
      _ = try AtomicFile(replacing: path, in: fileSystem)
    }
  }
}
