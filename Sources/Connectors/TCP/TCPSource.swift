internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A TCP port that producers connect to.
  package static let tcp = SourceKind(
    name: "tcp", isLive: true, settings: TCPSourceSettings.group,
    place: { .socket(TCPSourceSettings.address, .address, or: TCPSourceSettings.systemd, in: $0) },
    open: { values in
      let limits = ConnectionLimits(values)
      if let name = values[TCPSourceSettings.systemd] {
        return { context throws(FileError) in
          try ConnectionSource(activated: name, limits: limits, clock: context.clock)
            .counting(in: context.statistics)
        }
      }
      let address = values[TCPSourceSettings.address] ?? ""
      let allowsRemote = values[TCPSourceSettings.allowRemote]
      return { context throws(FileError) in
        try ConnectionSource(
          tcp: address, allowsRemote: allowsRemote, limits: limits, clock: context.clock
        ).counting(in: context.statistics)
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

  static let allowRemote = Setting(
    "allow_remote", .bool, default: false,
    help: "Whether to listen on an address that is not a loopback one.")

  static let systemd = Setting(
    "systemd", .text, help: "Instead of `address`: the name of a socket of the service manager.")
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
