internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A TCP port that producers connect to.
  package static let tcp = SourceKind(
    name: "tcp", isLive: true, splits: .connections, settings: TCPSourceSettings.group,
    // Listener, epoll, connection.
    descriptorCount: 3,
    place: { .socket(TCPSourceSettings.address, .address, or: TCPSourceSettings.systemd, in: $0) },
    open: { values in
      let limits = ConnectionLimits(values)
      let address = values[TCPSourceSettings.address] ?? ""
      let allowsRemote = values[TCPSourceSettings.allowRemote]
      return ConnectionSource.factory(activated: values[TCPSourceSettings.systemd], limits) {
        clock throws(FileError) in
        try ConnectionSource(tcp: address, allowsRemote: allowsRemote, limits: limits, clock: clock)
      }
    })
}

/// The settings of a TCP port that is read.
enum TCPSourceSettings {
  static let group = SettingGroup(
    "tcp", [address, allowRemote, systemd] + ConnectionLimits.settings,
    rules: [
      .oneOf(address, systemd), .loopback(address, unless: { $0[allowRemote] }),
    ])

  static let address = Setting(
    "address", .address, defaultText: "required, or `systemd`",
    help: "The address and port to listen on.")

  static let allowRemote = SocketSettings.allowRemote()
  static let systemd = SocketSettings.systemd(insteadOf: "address")
}

extension ConnectionSource {
  /// Listens on a TCP port. Port 0 selects a free one; `port` tells which.
  ///
  /// - Throws: EINVAL if the text is no address. EACCES if it is not a loopback address and `allowsRemote` is false,
  ///   since every process that reaches the port can send records.
  package init(
    tcp text: String, allowsRemote: Bool = false, limits: ConnectionLimits = ConnectionLimits(),
    clock: Clock = .system
  ) throws(FileError) {
    guard let address = InternetAddress(text) else {
      throw FileError(operation: .open, path: text, errno: EINVAL)
    }
    guard allowsRemote || address.isLoopback else {
      throw FileError(operation: .open, path: text, errno: EACCES)
    }
    let listener = try ListeningSocket(address, backlog: limits.backlog)
    try self.init(listener, name: text, limits: limits, clock: clock)
  }
}
