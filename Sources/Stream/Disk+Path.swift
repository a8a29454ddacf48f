package import Dataflow
internal import Storage

extension Disk {
  /// The disk of a path, by the table of mounts. Does not access any file system.
  package init(of path: String) {
    self = MountTable.current().device(of: path).map(Disk.init(device:)) ?? .unknown
  }

  /// The first of the paths' disks that is not the disk of `state`, which all streams share. A stream is most likely
  /// to wait for that one alone.
  package init(of paths: [String?], besides state: String) {
    let shared = Disk(of: state)
    self = paths.lazy.compactMap { $0.map(Disk.init(of:)) }.first { $0 != shared } ?? shared
  }
}
