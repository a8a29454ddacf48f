internal import FoundationEssentials
internal import Glibc
package import Stream

extension ControlClient {
  /// The longest line that a tap may send.
  private static let mostLineBytes = 16 << 20

  /// Calls `each` with every line of a tap, until the daemon ends it, `each` returns false, or the reader of `output` is
  /// gone.
  ///
  /// - Parameters:
  ///   - tokenFile: the file with the token, which a tap over TCP needs.
  ///   - output: the descriptor to which `each` writes.
  /// - Returns: whether the daemon ended the tap.
  /// - Throws: `ControlError`, and what `each` throws.
  package func tap(
    _ stream: String, _ options: TapOptions, tokenFile: String?, output: Int32,
    each: (_ line: [UInt8]) throws -> Bool
  ) throws -> Bool {
    let limit = options.limit.map { "&limit=\($0)" } ?? ""
    let path =
      "/api/v1/streams/\(percentEncoded(stream))/tap?rate=\(options.rate)\(limit)"
    let token = try tokenFile.map { path throws(ControlError) in
      "Authorization: Bearer \(try BearerToken(path: path).text)\r\n"
    }
    let socket: ControlSocket
    var received: [UInt8] = []
    do {
      socket = try send(
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(token ?? "")\r\n")
      try readHead(of: socket, &received)
    } catch let error as ControlError {
      throw error
    } catch {
      throw ControlError.noAnswer("\(address)", reason: "\(error)")
    }
    while true {
      while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        guard try each(Array(received[..<end])) else { return false }
        received.removeFirst(end + 1)
      }
      guard received.count <= Self.mostLineBytes else {
        throw ControlError.noAnswer("\(address)", reason: "a line that is too long")
      }
      guard waits(for: socket, output) else { return false }
      if socket.read(atMost: 64 << 10, into: &received) == .ended { return true }
    }
  }

  /// Reads the head of an answer with status 200. Leaves the bytes after it in `received`.
  private func readHead(of socket: ControlSocket, _ received: inout [UInt8]) throws {
    let mark = Array("\r\n\r\n".utf8)
    while received.firstRange(of: mark) == nil {
      switch socket.read(atMost: 64 << 10, into: &received) {
      case .bytes where received.count <= Self.mostLineBytes: continue
      case .bytes, .ended: throw UnexpectedAnswer(description: "no HTTP answer")
      case .waits: throw UnexpectedAnswer(description: "timed out")
      }
    }
    guard let head = received.firstRange(of: mark) else { return }
    let status = received.split(separator: 0x20, maxSplits: 2).dropFirst().first ?? []
    guard status.elementsEqual("200".utf8) else {
      // The daemon closes the connection after an error.
      while case .bytes = socket.read(atMost: 64 << 10, into: &received) {}
      let fault = try? JSONDecoder().decode(
        [String: String].self, from: Data(received[head.upperBound...]))
      throw ControlError.refused(
        "\(address)",
        reason: fault?["error"] ?? "status \(String(decoding: status, as: UTF8.self))")
    }
    received.removeFirst(head.upperBound)
  }

  /// Waits until the socket has something. Returns false if the reader of `output` is gone before.
  private func waits(for socket: ControlSocket, _ output: Int32) -> Bool {
    var queries = [
      pollfd(fd: socket.number, events: CShort(POLLIN), revents: 0),
      // Without events, poll(2) only reports that a pipe has no reader.
      pollfd(fd: output, events: 0, revents: 0),
    ]
    while poll(&queries, nfds_t(queries.count), -1) < 0, errno == EINTR {}
    return queries[1].revents & CShort(POLLERR) == 0
  }
}

/// A name as a part of a path: every byte that is not unreserved (RFC 3986, 2.3) as %XX.
func percentEncoded(_ name: String) -> String {
  name.utf8.map { byte in
    let character = Character(UnicodeScalar(byte))
    if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
      return String(character)
    }
    return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }.joined()
}
