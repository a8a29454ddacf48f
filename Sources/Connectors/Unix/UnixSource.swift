internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A Unix socket that producers connect to.
  package static let unix = SourceKind(
    name: "unix", isLive: true, settings: UnixSourceSettings.group,
    place: { .socket(UnixSourceSettings.path, .path, or: UnixSourceSettings.systemd, in: $0) },
    open: { values in
      let limits = ConnectionLimits(values)
      let mode = values[UnixSourceSettings.mode]
      if let name = values[UnixSourceSettings.systemd] {
        return { context throws(FileError) in
          try ConnectionSource(activated: name, limits: limits, clock: context.clock)
            .counting(in: context.statistics)
        }
      }
      let path = values[UnixSourceSettings.path] ?? ""
      return { context throws(FileError) in
        try ConnectionSource(unix: path, mode: mode, limits: limits, clock: context.clock)
          .counting(in: context.statistics)
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

  static let mode = Setting(
    "mode", .permissions, default: 0o600,
    help:
      "The permissions of the socket's file, in octal digits. A process that may write to the file "
      + "may connect.")

  static let systemd = Setting(
    "systemd", .text, help: "Instead of `path`: the name of a socket of the service manager.")
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

  /// Listens on a socket of the service manager. Its unit sets the address and the permissions.
  init(
    activated name: String, among sockets: ActivatedSockets = .inherited, limits: ConnectionLimits,
    clock: Clock = .system
  ) throws(FileError) {
    guard let number = sockets.descriptor(named: name) else {
      throw FileError(operation: .open, path: "systemd socket \(name)", errno: ENOENT)
    }
    let listener = try ListeningSocket(inherited: number, name: name)
    try self.init(listener, name: name, limits: limits, clock: clock)
  }
}
