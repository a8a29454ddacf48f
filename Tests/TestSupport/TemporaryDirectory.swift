internal import Glibc
package import Storage

/// A directory of a test's own, removed with all that is in it.
package final class TemporaryDirectory {
  package let path: String

  package init() throws {
    var template = Array("/tmp/evenkeel-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw FileError(operation: .createDirectory, path: "/tmp", errno: errno)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  private static func remove(_ directory: String) {
    for name in (try? POSIXFileSystem().list(directory)) ?? [] {
      let path = directory + "/" + name
      if unlink(path) != 0 { remove(path) }
    }
    rmdir(directory)
  }

  package func file(_ name: String) -> String { path + "/" + name }

  /// The names in it, those of hidden files too.
  package var names: [String] { get throws { try POSIXFileSystem().list(path) } }

  @discardableResult
  package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = try POSIXFileSystem().open(file(name), for: .writing)
    try file.write(Array(bytes))
    try file.close()
    return file.path
  }

  /// Makes a FIFO and opens both its ends, so that neither open(2) waits for the other.
  package func makeFIFO(_ name: String) throws -> any File {
    guard mkfifo(file(name), 0o600) == 0 else {
      throw FileError(operation: .create, path: file(name), errno: errno)
    }
    return try POSIXFileSystem().open(file(name), for: .updating)
  }

  package func read(_ name: String) throws -> [UInt8] {
    try POSIXFileSystem().contents(of: file(name), limit: 1 << 30)
  }
}
