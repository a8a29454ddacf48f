internal import Glibc
package import Storage

/// Posts a JSON text by HTTP/1.1 and returns the status of the answer. Waits for the network, so only threads that may
/// wait call it.
///
/// - Parameters:
///   - host: a name or an address.
///   - path: with its query.
/// - Throws: an error of the connection; `EPROTO` for an answer that is no HTTP.
package func postHTTP(
  _ body: String, host: String, port: Int, path: String, timeoutSeconds: Double
) throws(FileError) -> Int {
  let name = "http://\(host):\(port)"
  let number = try connected(to: host, port, as: name, timeoutSeconds: timeoutSeconds)
  let descriptor = Descriptor(adopting: number, path: name)
  let shownHost = host.contains(":") ? "[\(host)]" : host
  let text =
    "POST \(path) HTTP/1.1\r\nHost: \(shownHost):\(port)\r\nContent-Type: application/json\r\n"
    + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
  var rest = ArraySlice(text.utf8)
  while !rest.isEmpty {
    let bytes = rest
    let sent = try posix(.write, name) {
      bytes.withUnsafeBytes { send(number, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
    }
    rest = rest.dropFirst(sent)
  }
  // `HTTP/1.1 200 …`: the status is in the first twelve bytes.
  var answer: [UInt8] = []
  while answer.count < 12 {
    var chunk = [UInt8](repeating: 0, count: 1024)
    let count = try posix(.read, name) {
      chunk.withUnsafeMutableBytes { recv(descriptor.number, $0.baseAddress, $0.count, 0) }
    }
    if count == 0 { break }
    answer += chunk.prefix(count)
  }
  let words = String(decoding: answer.prefix(12), as: UTF8.self).split(separator: " ")
  guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
    throw FileError(operation: .read, path: name, errno: EPROTO)
  }
  return status
}

/// A connected socket that waits at most so long for each call.
private func connected(
  to host: String, _ port: Int, as name: String, timeoutSeconds: Double
) throws(FileError) -> CInt {
  var hints = addrinfo()
  hints.ai_family = AF_UNSPEC
  hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
  var found: UnsafeMutablePointer<addrinfo>?
  guard getaddrinfo(host, "\(port)", &hints, &found) == 0 else {
    throw FileError(operation: .open, path: name, errno: EHOSTUNREACH)
  }
  defer { freeaddrinfo(found) }
  var failure = FileError(operation: .open, path: name, errno: EHOSTUNREACH)
  var next = found
  while let address = next?.pointee {
    next = address.ai_next
    do throws(FileError) {
      let number = try posix(.open, name) {
        socket(
          address.ai_family, address.ai_socktype | CInt(SOCK_CLOEXEC.rawValue), address.ai_protocol)
      }
      var limit = timeval(tv_sec: Int(timeoutSeconds.rounded(.up)), tv_usec: 0)
      let size = socklen_t(MemoryLayout<timeval>.size)
      _ = setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
      _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
      do throws(FileError) {
        try posix(.open, name) { connect(number, address.ai_addr, address.ai_addrlen) }
        return number
      } catch {
        _ = close(number)
        throw error
      }
    } catch {
      failure = error
    }
  }
  throw failure
}
