package import Storage

/// The way in which `evenkeel check --connect` tries a connector. No process at the other end may notice it, and no
/// data may be taken or lost.
package enum ConnectorTrial: Sendable {
  /// Opens and closes the connector.
  case opening
  /// Only looks for the file, since opening a FIFO wakes the process at its other end.
  case looking
  /// Makes and removes a file beside it, since opening the file would replace or rotate it.
  case replacing
  /// Does nothing: the process has the connector open.
  case none

  /// Tries the connector.
  ///
  /// - Parameters:
  ///   - path: its path, if it is a file.
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
        // The connector may create the file itself.
        _ = try fileSystem.status(of: parentDirectory(of: path))
      }
    case (.replacing, let path?):
      if let kind = try? fileSystem.status(of: path).kind, kind == .fifo || kind == .other { break }
      // The temporary file is removed when it is released.
      _ = try AtomicFile(replacing: path, in: fileSystem)
    }
  }
}
