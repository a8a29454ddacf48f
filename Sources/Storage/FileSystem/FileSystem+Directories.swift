internal import Glibc

extension FileSystem {
  /// Makes a directory and those above it so that their names survive a crash.
  func createDirectoriesDurably(_ directory: String) throws(FileError) {
    let parent = parentDirectory(of: directory)
    do throws(FileError) {
      _ = try status(of: parent)
    } catch  where error.isMissing {
      try createDirectoriesDurably(parent)
    }
    try createDirectories(directory)
    do throws(FileError) {
      // Even where it was there: a run may have made it and been killed before it came to this.
      try syncDirectory(parent)
    } catch  where error.errno == EACCES {
      // A service's state directory may stand in one that only root reads, and that root has made.
    }
  }
}
