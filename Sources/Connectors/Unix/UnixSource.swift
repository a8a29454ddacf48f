internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A Unix socket that producers connect to.
  package static let unix = SourceKind(
    name: "unix", isLive: true, splits: .connections, settings: UnixSourceSettings.group,
    // Listener, epoll, connection.
    descriptorCount: 3,
    place: { .socket(UnixSourceSettings.path, .path, or: UnixSourceSettings.systemd, in: $0) },
    open: { values in
      let limits = ConnectionLimits(values)
      let mode = values[UnixSourceSettings.mode]
      let path = values[UnixSourceSettings.path] ?? ""
      return ConnectionSource.factory(activated: values[UnixSourceSettings.systemd], limits) {
        clock throws(FileError) in
        try ConnectionSource(unix: path, mode: mode, limits: limits, clock: clock)
      }
    })
}

/// The settings of a Unix socket that is read.
enum UnixSourceSettings {
  static let group = SettingGroup(
    "unix", [path, mode, systemd] + ConnectionLimits.settings, rules: [.oneOf(path, systemd)])

  static let path = Setting(
    "path", .socketPath, defaultText: "required, or `systemd`",
    help: "The Unix socket to listen on.")

  static let mode = SocketSettings.mode()
  static let systemd = SocketSettings.systemd(insteadOf: "path")
}

extension ConnectionSource {
  /// Listens on a Unix socket. Removes its file when the source is released.
  ///
  /// - Parameters:
  ///   - mode: the permission bits of the socket's file. A process that may write to the file may connect.
  package init(
    unix path: String, mode: UInt32 = 0o600, limits: ConnectionLimits = ConnectionLimits(),
    clock: Clock = .system
  ) throws(FileError) {
    let listener = try ListeningSocket(path: path, mode: mode_t(mode), backlog: limits.backlog)
    try self.init(listener, name: path, limits: limits, clock: clock)
  }
}
