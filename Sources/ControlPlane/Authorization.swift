internal import FoundationEssentials
internal import Glibc
internal import Storage

/// The secret that allows changes over TCP. No message contains it.
struct BearerToken: Sendable {
  private let bytes: [UInt8]

  private static let maxBytes = 4096

  init(_ text: String) {
    bytes = Array(text.utf8)
  }

  /// Reads a token file. Ignores blanks and line ends around the token.
  ///
  /// - Throws: `ControlError.tokenFile`, `.unfitToken`, or `.openToken` if every user can read it.
  init(path: String) throws(ControlError) {
    // Root can read every file, so only the mode of the token keeps other users out.
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & (S_IROTH | S_IWOTH) != 0 {
      throw .openToken(path: path)
    }
    let content: [UInt8]
    do throws(StorageError) {
      content = try POSIXFileSystem().contents(of: path, limit: Self.maxBytes)
    } catch {
      throw .tokenFile(error)
    }
    let isBlank: (UInt8) -> Bool = { [0x20, 0x09, 0x0D, 0x0A].contains($0) }
    let token = content.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
    guard (1...Self.maxBytes).contains(token.count), token.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else {
      throw .unfitToken(
        path: path, expected: "one word of 1 to \(Self.maxBytes) printable ASCII characters")
    }
    bytes = Array(token)
  }

  /// The token, for a request of a client.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Whether a candidate is the token. The time depends only on the candidate's length.
  func matches(_ candidate: String) -> Bool {
    let candidate = Array(candidate.utf8)
    var difference = candidate.count ^ bytes.count
    for (index, byte) in candidate.enumerated() {
      difference |= Int(byte ^ bytes[index % bytes.count])
    }
    return difference == 0
  }
}

/// Decides which requests may read from the daemon and change it.
struct AccessPolicy {
  /// Nil without a token file.
  var token: BearerToken?
  /// Whether clients may reach the server by names of other machines.
  var allowsOtherMachines: Bool

  /// Refuses requests that a web page of another site could make a browser send.
  ///
  /// A page can send requests to loopback. It can read the answers if it rebinds its own name to 127.0.0.1. The
  /// browser then still sends the page's name as `Host` or `Origin`.
  ///
  /// - Throws: `HTTPFault` 403.
  func authorizeReading(_ head: HTTPRequestHead, overUnixSocket: Bool) throws(HTTPFault) {
    if overUnixSocket || allowsOtherMachines { return }
    if let host = head.fields["host"], !isLoopback(authority: host) {
      throw HTTPFault(403, "expected a Host header that names this machine's loopback")
    }
    if let origin = head.fields["origin"] {
      guard let schemeEnd = origin.firstRange(of: "://"),
        isLoopback(authority: String(origin[schemeEnd.upperBound...]))
      else { throw HTTPFault(403, "requests from the origin of another site are refused") }
    }
  }

  /// Allows or refuses a change, or another act that needs the token. `authorizeReading` must have accepted the request
  /// before.
  ///
  /// - Parameter acts: the acts, for messages.
  /// - Throws: `HTTPFault` 401 or 403.
  func authorizeChange(
    _ head: HTTPRequestHead, overUnixSocket: Bool, _ acts: String = "changes"
  ) throws(HTTPFault) {
    if overUnixSocket { return }
    guard head.fields["host"] != nil || allowsOtherMachines else {
      throw HTTPFault(403, "\(acts) need a Host header that names this machine's loopback")
    }
    guard let token else {
      throw HTTPFault(403, "\(acts) over TCP need control.token_file in the configuration")
    }
    let words = (head.fields["authorization"] ?? "").split(separator: " ")
    guard words.count == 2, words[0].lowercased() == "bearer", token.matches(String(words[1]))
    else {
      throw HTTPFault(
        401, "\(acts) over TCP need 'Authorization: Bearer TOKEN'",
        fields: ["WWW-Authenticate": "Bearer realm=\"evenkeel\""])
    }
  }
}

/// Whether `HOST` or `HOST:PORT` names loopback.
func isLoopback(authority: String) -> Bool {
  var host = authority.lowercased()
  if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
    let rest = host[host.index(after: end)...]
    return host[..<end].dropFirst() == "::1" && (rest.isEmpty || isPort(rest))
  }
  if let colon = host.firstIndex(of: ":") {
    guard isPort(host[colon...]) else { return false }
    host = String(host[..<colon])
  }
  if host == "localhost" { return true }
  let parts = host.split(separator: ".", omittingEmptySubsequences: false)
  return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
}

private func isPort(_ text: Substring) -> Bool {
  text.first == ":" && UInt16(text.dropFirst()) != nil
}
