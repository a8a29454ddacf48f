internal import Glibc
internal import Storage

extension FileSystem {
  /// The size of the file at `path`; nil if there is none. Refuses what is not a regular file.
  func sizeOfRegularFile(_ path: String) throws(FileError) -> Int? {
    let status: FileStatus
    do throws(FileError) {
      status = try self.status(of: path)
    } catch  where error.errno == ENOENT {
      return nil
    }
    guard status.kind == .regular else {
      let reason = status.kind == .directory ? EISDIR : ENOTSUP
      throw FileError(operation: .open, path: path, errno: reason)
    }
    return status.size
  }

  /// The identity of the file at `path`; nil if there is none.
  func identity(of path: String) throws(FileError) -> FileIdentity? {
    do throws(FileError) {
      return try status(of: path).identity
    } catch  where error.isMissing {
      return nil
    }
  }
}
