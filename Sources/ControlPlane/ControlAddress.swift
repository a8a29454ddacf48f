/// An address of the control plane: a TCP address or the path of a Unix socket.
package enum ControlAddress: Sendable, Equatable, CustomStringConvertible {
  case ip4(String, port: UInt16)
  case ip6(String, port: UInt16)
  case unix(path: String)

  /// The longest path that fits the address of a socket with its final zero, in bytes.
  private static let maxPathBytes = 107

  /// Parses `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. HOST is a numeric address or `localhost`.
  ///
  /// - Throws: `ControlError.address`.
  package init(_ text: String) throws(ControlError) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard !path.isEmpty, path.utf8.count <= Self.maxPathBytes, !path.utf8.contains(0) else {
        throw .address(text, expected: "a path of 1 to \(Self.maxPathBytes) bytes after 'unix:'")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { throw .address(text, expected: "HOST:PORT or unix:PATH") }
    let host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      self = .ip6(String(host.dropFirst().dropLast()), port: port)
    } else {
      self = .ip4(host == "localhost" ? "127.0.0.1" : host, port: port)
    }
    guard isNumeric else {
      throw .address(text, expected: "a numeric address or localhost before the port")
    }
  }

  /// The same address with another port. A Unix socket has none.
  func withPort(_ port: UInt16) -> ControlAddress {
    switch self {
    case .ip4(let host, _): .ip4(host, port: port)
    case .ip6(let host, _): .ip6(host, port: port)
    case .unix: self
    }
  }

  package var description: String {
    switch self {
    case .ip4(let host, let port): "\(host):\(port)"
    case .ip6(let host, let port): "[\(host)]:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only processes of this machine can reach it.
  package var isLocal: Bool {
    switch self {
    case .ip4(let host, _): host.hasPrefix("127.")
    case .ip6(let host, _): host == "::1"
    case .unix: true
    }
  }

  package var isUnix: Bool {
    if case .unix = self { true } else { false }
  }

  private var isNumeric: Bool { withSocketAddress { _, _ in () } != nil }
}
