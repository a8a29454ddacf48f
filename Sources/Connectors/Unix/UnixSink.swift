internal import Configuration
internal import Glibc
internal import Storage

extension SinkKind {
  /// A Unix socket: listens for subscribers, or connects to a server.
  package static let unix = SinkKind(
    name: "unix", settings: UnixSinkSettings.group,
    // Listener, epoll, connection.
    descriptorCount: 3,
    place: { values in
      .socket(
        UnixSinkSettings.path, .path, or: UnixSinkSettings.systemd, in: values,
        isShareable: values[SubscriberSettings.connect])
    },
    open: { values in
      let connecting = values[SubscriberSettings.connect]
      let mode = mode_t(values[UnixSinkSettings.mode])
      let path = values[UnixSinkSettings.path] ?? ""
      return SubscriberSink.factory(values, activated: values[UnixSinkSettings.systemd], or: path) {
        () throws(FileError) in
        connecting
          ? .dialing(Dialer { () throws(FileError) in try .dial(path: path) })
          : .listening(
            try ListeningSocket(path: path, mode: mode, backlog: SubscriberSink.backlog))
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
  static let mode = SocketSettings.mode()
  static let systemd = SocketSettings.systemd(insteadOf: "path")
}
