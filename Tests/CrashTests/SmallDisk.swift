import Foundation
import TestSupport
import Testing

/// Whether this process may mount; where not, the tests of full disks are left out, and say so.
let mayMount: Bool = {
  guard let place = try? Workplace(), let disk = try? SmallDisk("probe", in: place) else {
    print("Not allowed to mount a tmpfs (it needs root): full disks are not tried.")
    return false
  }
  disk.unmount()
  return true
}()

/// A tmpfs of 1 MiB in a directory of a test's own, unmounted with it.
final class SmallDisk {
  let name: String
  private let path: String
  private let place: Workplace
  private var isMounted = true

  init(_ name: String, in place: Workplace) throws {
    self.name = name
    self.place = place
    path = place.path(name)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard try place.shell("mount -t tmpfs -o size=1m tmpfs \(name)").exitCode == 0 else {
      throw POSIXError(.EPERM)
    }
  }

  deinit { unmount() }

  func unmount() {
    if isMounted { _ = try? place.shell("umount -l \(name)") }
    isMounted = false
  }

  /// Leaves no byte free.
  func fill() throws {
    let finished = try place.shell("cat /dev/zero > \(name)/ballast")
    guard finished.errors.contains("No space left") else { throw POSIXError(.EIO) }
  }

  func makeRoom() throws { try FileManager.default.removeItem(atPath: path + "/ballast") }
}
