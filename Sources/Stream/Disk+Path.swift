package import Dataflow
internal import Storage

extension Disk {
  /// The disk that holds a path, as the table of mounts has it; no file system is asked.
  package init(of path: String) {
    self = MountTable.current().device(of: path).map(Disk.init(device:)) ?? .unknown
  }

  /// The disk that most threatens to make a stream wait alone: the first that is not the one of `state`, which all
  /// streams share.
  package init(of paths: [String?], besides state: String) {
    let shared = Disk(of: state)
    self = paths.lazy.compactMap { $0.map(Disk.init(of:)) }.first { $0 != shared } ?? shared
  }
}
