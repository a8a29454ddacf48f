internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A TCP port that producers connect to.
  package static let tcp = SourceKind(
    name: "tcp", isLive: true,
    locate: { _, _ in nil },
    configure: { section in
      let limits = ConnectionLimits(section)
      let allowsRemote = section.bool("allow_remote", default: false)
      if let name = section.activatedSocket(insteadOf: "address") {
        return { context throws(FileError) in
          try ConnectionSource(activated: name, limits: limits, clock: context.clock)
        }
      }
      let text = section.string("address")
      // An address that is missing was told already.
      if !text.isEmpty,
        let expected = TCPSource.expected(insteadOf: text, allowsRemote: allowsRemote)
      {
        section.report("address", expected: expected, found: "'\(text)'")
      }
      return { context throws(FileError) in
        try ConnectionSource(
          tcp: text, allowsRemote: allowsRemote, limits: limits, clock: context.clock)
      }
    })
}

/// What is particular to the configuration of a TCP port.
enum TCPSource {
  /// What is expected in place of an address that cannot be listened on; nil for one that can.
  static func expected(insteadOf text: String, allowsRemote: Bool) -> String? {
    guard let address = InternetAddress(text) else { return InternetAddress.expected }
    guard allowsRemote || address.isLoopback else {
      return "a loopback address (127.0.0.1, [::1]), or allow_remote: true"
    }
    return nil
  }
}

extension ConnectionSource {
  /// Listens on a TCP port; 0 is a free one, which `port` tells.
  ///
  /// - Throws: EINVAL for what is no address, EACCES for one that is not loopback unless
  ///   `allowsRemote`: whoever reaches the port can send records.
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
