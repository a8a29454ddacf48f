internal import Glibc

/// The mounted file systems of the machine, from the kernel's list.
///
/// Looking up a path does not access any file system. So a file system that hangs, such as a network mount whose
/// server is gone, does not block the caller. Symbolic links are not followed.
package struct MountTable: Sendable {
  private struct Mount {
    let point: [UInt8]
    let device: UInt64
  }

  private let mounts: [Mount]

  /// The table of this process; empty if it cannot be read.
  package static func current() -> MountTable {
    let text = try? POSIXFileSystem().contents(of: "/proc/self/mountinfo", limit: 16 << 20)
    return MountTable(text ?? [])
  }

  /// - Parameter text: in the form of `/proc/PID/mountinfo`, see proc(5). Lines of another form are skipped.
  package init(_ text: [UInt8]) {
    mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
      guard fields.count > 4 else { return nil }
      let numbers = fields[2].split(separator: UInt8(ascii: ":")).compactMap {
        UInt64(String(decoding: $0, as: UTF8.self))
      }
      guard numbers.count == 2 else { return nil }
      return Mount(point: unescaped(fields[4]), device: numbers[0] << 32 | numbers[1])
    }
  }

  /// The device number of the file system with `path`; nil if the table does not tell. A relative path starts at the
  /// working directory.
  package func device(of path: String) -> UInt64? {
    let absolute = path.hasPrefix("/") ? path : workingDirectory() + "/" + path
    let bytes = Array(absolute.utf8)
    // If several file systems are mounted at one point, the last one is visible.
    var found: Mount?
    for mount in mounts where Self.holds(mount.point, bytes) {
      if mount.point.count >= found?.point.count ?? 0 { found = mount }
    }
    return found?.device
  }

  private static func holds(_ point: [UInt8], _ path: [UInt8]) -> Bool {
    let slash = UInt8(ascii: "/")
    return path.starts(with: point)
      && (point == [slash] || path.count == point.count || path[point.count] == slash)
  }
}

/// Undoes the escapes of mountinfo. For example, a blank is `\040`.
private func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
  var bytes: [UInt8] = []
  var rest = field
  while let byte = rest.popFirst() {
    let digits = rest.prefix(3).map { Int($0) - Int(UInt8(ascii: "0")) }
    if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0..<8).contains($0) }) {
      bytes.append(UInt8(truncatingIfNeeded: digits[0] << 6 | digits[1] << 3 | digits[2]))
      rest = rest.dropFirst(3)
    } else {
      bytes.append(byte)
    }
  }
  return bytes
}

private func workingDirectory() -> String {
  guard let name = getcwd(nil, 0) else { return "" }
  defer { free(name) }
  return String(cString: name)
}
