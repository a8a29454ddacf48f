internal import Configuration
internal import Storage

extension SinkKind {
  /// A TCP socket: listens for subscribers, or connects to a server.
  package static let tcp = SinkKind(
    name: "tcp", locate: { _, _ in nil },
    configure: { section in
      let connecting = section.bool("connect", default: false)
      let settings = SubscriberSettings(section, connecting: connecting)
      let allowsRemote = section.bool("allow_remote", default: false)
      if connecting {
        for key in ["allow_remote", "systemd"] { section.refuse(key, beside: "connect: true") }
      }
      if let name = section.activatedSocket(insteadOf: "address") {
        section.refuse("allow_remote", beside: "systemd")
        return SubscriberSink.activated(name, settings)
      }
      let address = address(section, anywhere: connecting || allowsRemote)
      return { context throws(FileError) in
        let door: SubscriberEndpoint =
          connecting
          ? .dialing(Dialer { () throws(FileError) in try .dial(address) })
          : .listening(try ListeningSocket(address, backlog: SubscriberSink.backlog))
        return try SubscriberSink(
          name: address.description, door: door, settings: settings, clock: context.clock)
      }
    })

  /// The address to listen at or to connect to; one that other machines reach must be allowed.
  private static func address(
    _ section: ConfigurationSection, anywhere: Bool
  ) -> InternetAddress {
    let fallback = InternetAddress(bytes: [127, 0, 0, 1], port: 0)
    let text = section.string("address")
    guard !text.isEmpty else { return fallback }
    if let expected = TCPSource.expected(insteadOf: text, allowsRemote: anywhere) {
      section.report("address", expected: expected, found: "'\(text)'")
    }
    return InternetAddress(text) ?? fallback
  }
}
