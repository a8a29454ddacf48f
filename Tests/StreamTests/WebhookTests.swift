import Connectors
import Dataflow
import Dispatch
import Foundation
import Glibc
import Logging
import Operators
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Supervision

/// The posts of a webhook, taken by a server on loopback.
struct WebhookTests {
  private func webhook(pause: Double = 0.01) throws -> Webhook {
    try Webhook(
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, firstPauseSeconds: pause)
  }

  @Test func `events are posted in order, and again until they are taken`() throws {
    let server = try PostServer(statuses: [503, 200, 200])
    let address = try #require(WebhookAddress("http://127.0.0.1:\(server.port)/alarm?key=1"))
    let webhook = try webhook()
    webhook.post(#"{"id":1}"#, to: address)
    webhook.post(#"{"id":2}"#, to: address)
    #expect(eventually { server.requests.count == 3 })
    let requests = server.requests
    #expect(
      requests.map { $0.components(separatedBy: "\r\n\r\n").last } == [
        #"{"id":1}"#, #"{"id":1}"#, #"{"id":2}"#,
      ])
    #expect(requests[0].hasPrefix("POST /alarm?key=1 HTTP/1.1\r\nHost: 127.0.0.1:"))
    #expect(requests[0].contains("\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"))
  }

  @Test func `a server that does not answer holds no more events than the bound`() throws {
    let server = try PostServer(statuses: [Int](repeating: 200, count: 300), isHeld: true)
    let address = try #require(WebhookAddress("http://127.0.0.1:\(server.port)/"))
    let webhook = try webhook()
    webhook.post("0", to: address)
    #expect(eventually { server.requests.count == 1 })
    for number in 1...200 { webhook.post("\(number)", to: address) }
    server.release()
    #expect(eventually { server.requests.last?.hasSuffix("\r\n\r\n200") == true })
    let bodies = server.requests.compactMap { $0.components(separatedBy: "\r\n\r\n").last }
    #expect(bodies == ["0"] + (137...200).map { "\($0)" })
  }

  @Test func `an address that nobody listens at is told as an error`() throws {
    #expect(throws: FileError.self) {
      try postHTTP("{}", host: "127.0.0.1", port: 1, path: "/", timeoutSeconds: 1)
    }
    let server = try PostServer(statuses: [])
    #expect(throws: FileError.self, "the answer is no HTTP") {
      try postHTTP("{}", host: "127.0.0.1", port: server.port, path: "/", timeoutSeconds: 5)
    }
  }

  @Test func `an address is a URL without TLS and without a user`() {
    #expect(WebhookAddress("http://h")?.text == "http://h:80/")
    #expect(WebhookAddress("http://[::1]:9/a?b")?.text == "http://[::1]:9/a?b")
    for text in [
      "https://h", "h:80", "http://", "http://u@h/", "http://h:0/", "http://h:x", "http://h/ a",
      "http://h/\r\nX: y",
    ] {
      #expect(WebhookAddress(text) == nil, "\(text)")
    }
  }
}

/// Takes one request a connection, and answers with the next status; without one, with nonsense.
private final class PostServer: Sendable {
  let port: Int
  private let number: CInt
  private let taken = Mutex<[String]>([])
  private let isReleased = DispatchSemaphore(value: 0)

  var requests: [String] { taken.withLock { $0 } }

  /// Lets the first request be answered, if it is held.
  func release() { isReleased.signal() }

  /// - Parameter isHeld: whether the first request is only answered after `release`.
  init(statuses: [Int], isHeld: Bool = false) throws {
    number = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = number
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) | listen(listener, 8) | getsockname(listener, $0, &length)
      }
    }
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EINVAL) }
    port = Int(UInt16(bigEndian: address.sin_port))
    let isReleased = isReleased
    Thread.detachNewThread { [weak self] in
      var rest = statuses[...]
      var isHeld = isHeld
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { break }
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !Self.isWhole(text) {
          let count = recv(connection, &chunk, chunk.count, 0)
          guard count > 0 else { break }
          text += String(decoding: chunk.prefix(count), as: UTF8.self)
        }
        let request = text
        self?.taken.withLock { $0.append(request) }
        if isHeld { isReleased.wait() }
        isHeld = false
        let line =
          rest.popFirst().map { "HTTP/1.1 \($0) X\r\nContent-Length: 0\r\n\r\n" }
          ?? "no protocol at all"
        _ = line.withCString { send(connection, $0, line.utf8.count, CInt(MSG_NOSIGNAL)) }
        close(connection)
      }
      // Here alone: if `deinit` closed it, this thread could take the connections of another test's server, which got
      // its number.
      close(listener)
    }
  }

  deinit { shutdown(number, CInt(SHUT_RDWR)) }

  private static func isWhole(_ text: String) -> Bool {
    guard let head = text.firstRange(of: "\r\n\r\n"),
      let field = text.firstMatch(of: #/Content-Length: (\d+)/#), let length = Int(field.output.1)
    else { return false }
    return text[head.upperBound...].utf8.count >= length
  }
}
