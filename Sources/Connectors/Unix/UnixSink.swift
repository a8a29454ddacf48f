internal import Configuration
internal import Glibc
internal import Storage

extension SinkKind {
  /// A Unix socket: listens for subscribers, or connects to a server.
  package static let unix = SinkKind(
    name: "unix", settings: UnixSinkSettings.group,
    place: { values in
      .socket(
        UnixSinkSettings.path, .path, or: UnixSinkSettings.systemd, in: values,
        isShareable: values[SubscriberSettings.connect])
    },
    open: { values in
      let settings = SubscriberSettings(values)
      if let name = values[UnixSinkSettings.systemd] {
        return SubscriberSink.activated(name, settings)
      }
      let connecting = values[SubscriberSettings.connect]
      let mode = mode_t(values[UnixSinkSettings.mode])
      let path = values[UnixSinkSettings.path] ?? ""
      return { context throws(FileError) in
        let endpoint: SubscriberEndpoint =
          connecting
          ? .dialing(Dialer { () throws(FileError) in try .dial(path: path) })
          : .listening(
            try ListeningSocket(path: path, mode: mode, backlog: SubscriberSink.backlog))
        return try SubscriberSink(
          name: path, endpoint: endpoint, settings: settings, clock: context.clock,
          statistics: context.statistics)
      }
    })
}

/// The settings of a Unix socket that is written to.
private enum UnixSinkSettings {
  static let group = SettingGroup(
    "unix", [path, mode, SubscriberSettings.connect, systemd] + SubscriberSettings.settings,
    rules: [
      .oneOf(path, systemd), .never([mode], beside: systemd),
      .never([mode, systemd], beside: SubscriberSettings.connect, is: true),
    ] + SubscriberSettings.rules)

  static let path = Setting(
    "path", .socketPath, defaultText: "required, or `systemd`",
    help: "The Unix socket to listen on for subscribers, or to connect to.")
  static let mode = Setting(
    "mode", .permissions, default: 0o600,
    help:
      "The permissions of the socket's file, in octal digits. A process that may write to the file "
      + "may connect.")
  static let systemd = Setting(
    "systemd", .text, help: "Instead of `path`: the name of a socket of the service manager.")
}

extension SubscriberSink {
  /// How many subscribers may wait to be accepted.
  static let backlog = 256

  /// A sink on a listening socket that the service manager passed under `name`.
  static func activated(_ name: String, _ settings: SubscriberSettings) -> SinkFactory {
    { context throws(FileError) in
      guard let descriptor = ActivatedSockets.inherited.descriptor(named: name) else {
        throw FileError(operation: .open, path: "systemd socket \(name)", errno: ENOENT)
      }
      let socket = try ListeningSocket(inherited: descriptor, name: "systemd socket \(name)")
      return try SubscriberSink(
        name: name, endpoint: .listening(socket), settings: settings, clock: context.clock,
        statistics: context.statistics)
    }
  }
}
