internal import Configuration
package import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A Unix socket that producers connect to.
  package static let unix = SourceKind(
    name: "unix", isLive: true,
    locate: { _, _ in nil },
    configure: { section in
      let limits = ConnectionLimits(section)
      let mode = UnixSource.mode(of: section)
      if let name = section.activatedSocket(insteadOf: "path") {
        return { context throws(FileError) in
          try ConnectionSource(activated: name, limits: limits, clock: context.clock)
        }
      }
      let path = section.string("path")
      return { context throws(FileError) in
        try ConnectionSource(unix: path, mode: mode, limits: limits, clock: context.clock)
      }
    })
}

/// What is particular to the configuration of a Unix socket.
enum UnixSource {
  static let expectedMode = "permissions in octal digits, such as \"0660\""

  static func mode(of section: ConfigurationSection) -> UInt32 {
    let text = section.string("mode", default: "0600")
    if let mode = mode(text) { return mode }
    section.report("mode", expected: expectedMode, found: "'\(text)'")
    return 0o600
  }

  /// Reads permission bits in octal; nil where the text is none.
  static func mode(_ text: String) -> UInt32? {
    guard !text.hasPrefix("+"), let mode = UInt32(text, radix: 8), mode <= 0o777 else { return nil }
    return mode
  }
}

extension ConnectionSource {
  /// Listens on a Unix socket; its file is removed with the source.
  ///
  /// - Parameters:
  ///   - mode: the permission bits of the socket's file; who may write to it may connect.
  package init(
    unix path: String, mode: UInt32 = 0o600, limits: ConnectionLimits = ConnectionLimits(),
    clock: Clock = .system
  ) throws(FileError) {
    let listener = try ListeningSocket(path: path, mode: mode_t(mode), backlog: limits.backlog)
    try self.init(listener, name: path, limits: limits, clock: clock)
  }

  /// Listens on a socket of the service manager, whose unit says where it is and who may connect.
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

extension ConfigurationSection {
  /// The name of the service manager's socket, which stands in place of `key`; nil where there is none.
  func activatedSocket(insteadOf key: String) -> String? {
    guard let name = optionalString("systemd") else { return nil }
    if optionalString(key) != nil {
      report("systemd", expected: "one of \(key) and systemd", found: "both")
    }
    return name
  }
}
