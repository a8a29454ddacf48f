internal import Configuration
internal import Glibc
internal import Storage

extension SinkKind {
  /// A TCP socket: listens for subscribers, or connects to a server.
  package static let tcp = SinkKind(
    name: "tcp", settings: TCPSinkSettings.group,
    // Listener, epoll, connection.
    descriptorCount: 3,
    place: { values in
      .socket(
        TCPSinkSettings.address, .address, or: TCPSinkSettings.systemd, in: values,
        isShareable: values[SubscriberSettings.connect])
    },
    open: { values in
      let connecting = values[SubscriberSettings.connect]
      let text = values[TCPSinkSettings.address] ?? ""
      return SubscriberSink.factory(values, activated: values[TCPSinkSettings.systemd], or: text) {
        () throws(FileError) in
        guard let address = InternetAddress(text) else {
          throw FileError(operation: .open, path: text, errno: EINVAL)
        }
        return connecting
          ? .dialing(Dialer { () throws(FileError) in try .dial(address) })
          : .listening(try ListeningSocket(address, backlog: SubscriberSink.backlog))
      }
    })
}

/// The settings of a TCP socket that is written to.
private enum TCPSinkSettings {
  static let group = SettingGroup(
    "tcp",
    [address, allowRemote, SubscriberSettings.connect, systemd] + SubscriberSettings.settings,
    rules: [
      .oneOf(address, systemd), .never([allowRemote], beside: systemd),
      .never([allowRemote, systemd], beside: SubscriberSettings.connect, is: true),
      .loopback(address, unless: { $0[allowRemote] || $0[SubscriberSettings.connect] }),
    ] + SubscriberSettings.rules)

  static let address = Setting(
    "address", .address, defaultText: "required, or `systemd`",
    help: "The address and port to listen on for subscribers, or to connect to.")
  static let allowRemote = SocketSettings.allowRemote()
  static let systemd = SocketSettings.systemd(insteadOf: "address")
}
