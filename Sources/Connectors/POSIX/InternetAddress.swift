internal import Glibc

/// An IP address and a port.
package struct InternetAddress: Sendable, Equatable, CustomStringConvertible {
  /// In network order: 4 bytes of IPv4 or 16 of IPv6.
  let bytes: [UInt8]
  package let port: UInt16

  init(bytes: [UInt8], port: UInt16) {
    self.bytes = bytes
    self.port = port
  }

  /// The form of an address, for messages.
  static let expected = "HOST:PORT, where HOST is localhost, an IPv4 address or an [IPv6] address"

  /// Reads `HOST:PORT`. Returns nil if the text has another form. Does not look names up, so that the address to
  /// listen at does not depend on a name server.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let portText = text[text.index(after: colon)...]
    var host = String(text[..<colon])
    guard !portText.hasPrefix("+"), let port = UInt16(portText) else {
      return nil
    }
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = String(host.dropFirst().dropLast()) }
    if host == "localhost", !isBracketed { host = "127.0.0.1" }
    var bytes = [UInt8](repeating: 0, count: isBracketed ? 16 : 4)
    guard inet_pton(isBracketed ? AF_INET6 : AF_INET, host, &bytes) == 1 else { return nil }
    self.init(bytes: bytes, port: port)
  }

  package var isIPv6: Bool { bytes.count == 16 }

  /// Whether only this machine can reach it: 127.0.0.0/8 or ::1.
  package var isLoopback: Bool {
    isIPv6 ? bytes == Array(repeating: 0, count: 15) + [1] : bytes[0] == 127
  }

  package var description: String {
    guard isIPv6 else { return "\(bytes.map(String.init).joined(separator: ".")):\(port)" }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    _ = inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count))
    let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    return "[\(host)]:\(port)"
  }
}
