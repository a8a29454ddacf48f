internal import Configuration
internal import Glibc
internal import Storage

extension SinkKind {
  /// A Unix socket: listens for subscribers, or connects to a server.
  package static let unix = SinkKind(
    name: "unix", locate: { _, _ in nil },
    configure: { section in
      let connecting = section.bool("connect", default: false)
      let settings = SubscriberSettings(section, connecting: connecting)
      let mode = mode_t(UnixSource.mode(of: section))
      if connecting {
        for key in ["mode", "systemd"] { section.refuse(key, beside: "connect: true") }
      }
      if let name = section.activatedSocket(insteadOf: "path") {
        section.refuse("mode", beside: "systemd")
        return SubscriberSink.activated(name, settings)
      }
      let path = section.string("path")
      return { context throws(FileError) in
        let door: SubscriberEndpoint =
          connecting
          ? .dialing(Dialer { () throws(FileError) in try .dial(path: path) })
          : .listening(
            try ListeningSocket(path: path, mode: mode, backlog: SubscriberSink.backlog))
        return try SubscriberSink(name: path, door: door, settings: settings, clock: context.clock)
      }
    })
}

extension SubscriberSink {
  /// How many subscribers may come before they are looked at.
  static let backlog = 256

  /// A sink on the listening socket that the service manager passed under a name.
  static func activated(_ name: String, _ settings: SubscriberSettings) -> SinkFactory {
    { context throws(FileError) in
      guard let descriptor = ActivatedSockets.inherited.descriptor(named: name) else {
        throw FileError(operation: .open, path: "systemd socket \(name)", errno: ENOENT)
      }
      let socket = try ListeningSocket(inherited: descriptor, name: "systemd socket \(name)")
      return try SubscriberSink(
        name: name, door: .listening(socket), settings: settings, clock: context.clock)
    }
  }
}
