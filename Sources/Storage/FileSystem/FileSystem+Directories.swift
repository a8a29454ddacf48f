internal import Glibc

extension FileSystem {
  /// Makes a directory and its parents, so that their names survive a crash.
  package func createDirectoriesDurably(_ directory: String) throws(FileError) {
    let parent = parentDirectory(of: directory)
    do throws(FileError) {
      _ = try status(of: parent)
    } catch  where error.isMissing {
      try createDirectoriesDurably(parent)
    }
    try createDirectories(directory)
    do throws(FileError) {
      // Even if it existed: an earlier run may have been killed between making and syncing it.
      try syncDirectory(parent)
    } catch  where error.errno == EACCES {
      // The state directory of a service may be in a directory that root made and that only root can read.
    }
  }
}
