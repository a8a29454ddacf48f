internal import Configuration
internal import Connectors
internal import Storage

/// The files and directories that the daemon keeps in the state directory. Nothing else may write to them.
struct StatePlaces {
  /// The path of the state directory as the user wrote it.
  private let spelled: String
  /// Its canonical path.
  private let directory: String
  /// The names of all streams.
  private let streams: Set<String>
  private let fileSystem: any FileSystem

  /// - Parameter stateDirectory: in any spelling.
  init(_ stateDirectory: String, streams: Set<String>, in fileSystem: any FileSystem) {
    spelled = stateDirectory
    directory = fileSystem.canonicalPath(stateDirectory)
    self.streams = streams
    self.fileSystem = fileSystem
  }

  /// The reason why a file at a path would replace state; nil if it would not.
  ///
  /// The state directory may hold other files: under systemd the daemon may write nowhere else.
  ///
  /// - Parameter canonicalPath: of the file.
  func conflict(at canonicalPath: String) -> String? {
    if directory == canonicalPath || directory.hasPrefix(canonicalPath + "/") {
      return "expected a path that is not the state directory"
    }
    guard canonicalPath.hasPrefix(directory + "/") else { return nil }
    let parts = canonicalPath.dropFirst(directory.count + 1).split(separator: "/").map(String.init)
    // A stream that was removed leaves its files. It may come back.
    let isState =
      parts[0] == StateDirectoryLock.fileName || streams.contains(parts[0])
      || parts.count == 2 && CheckpointStore.isStateFile(parts[1])
    guard isState else { return nil }
    return
      "expected a path that holds no state: in the state directory, '\(StateDirectoryLock.fileName)' and the "
      + "directory of each stream belong to the daemon"
  }

  /// The reason why the state directory can never be made; nil if there is none.
  ///
  /// Permissions do not count, since the daemon may have others than its caller.
  func unusable() -> String? {
    if fileSystem.isSymbolicLink(spelled), (try? fileSystem.status(of: spelled)) == nil {
      return "expected a directory, found a symbolic link that leads nowhere"
    }
    var path = directory
    while true {
      if let status = try? fileSystem.status(of: path) {
        guard status.kind != .directory else { return nil }
        return path == directory
          ? "expected a directory, found \(status.kind.rawValue)"
          : "expected a path below directories, found \(status.kind.rawValue) above it"
      }
      let parent = parentDirectory(of: path)
      guard parent != path else { return nil }
      path = parent
    }
  }
}

extension StreamDefinition {
  /// The reason why the stream would write over state, with its setting; nil if it would not.
  func conflict(with state: StatePlaces) -> (reason: String, setting: any SettingDescription)? {
    // Only connections are made by the source. Dead letters may well be the input of a stream.
    let sources = [source, gradients].compactMap(\.self).filter { $0.kind.splits == .connections }
    let locations = [sink.location] + sources.map(\.location)
    for location in locations {
      guard let path = location.canonicalPath, let setting = location.setting,
        let reason = state.conflict(at: path)
      else { continue }
      return (reason, setting)
    }
    return nil
  }
}
