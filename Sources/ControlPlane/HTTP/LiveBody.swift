internal import FoundationEssentials
internal import Records
internal import Stream
internal import Synchronization

/// The body of an answer that goes on: one line of JSON for each sample of a tap.
///
/// The stream puts lines in, on any thread. The control plane's loop sends them, and counts the bytes that still wait.
/// If too many wait, the body takes no more, so that a slow client costs bounded memory and never makes a stream wait.
final class LiveBody: TapReceiver {
  /// The most bytes that may wait for the client.
  static let mostWaitingBytes = 1 << 20

  private let reply: ControlReply
  private let waitingBytes = Atomic(0)
  private let isGone = Atomic(false)

  init(_ reply: ControlReply) {
    self.reply = reply
  }

  /// Whether it is the body of the answer to a request.
  func answers(_ other: ControlReply) -> Bool { reply.exchange == other.exchange }

  // MARK: For the stream

  var isClosed: Bool { isGone.load(ordering: .relaxed) }

  func begin() {
    let response = HTTPResponse(contentType: "application/x-ndjson", body: [])
    send(.live(response, self))
  }

  func take(_ sample: TapSample) -> Bool {
    guard waitingBytes.load(ordering: .relaxed) < Self.mostWaitingBytes else { return false }
    let line = TapLine(sample).json + [UInt8(ascii: "\n")]
    waitingBytes.add(line.count, ordering: .relaxed)
    send(.more(line))
    return true
  }

  func end() { send(.end) }

  private func send(_ content: ControlMailbox.Letter.Content) {
    reply.mail.put(.init(exchange: reply.exchange, content: content))
  }

  // MARK: For the loop

  /// The client has got so many bytes.
  func sent(_ count: Int) { waitingBytes.subtract(count, ordering: .relaxed) }

  /// The client is gone.
  func close() { isGone.store(true, ordering: .relaxed) }
}

/// The part of a live answer that is on its way to the client.
struct LiveAnswer {
  let body: LiveBody
  /// Whether nothing comes after `bytes`.
  var isLast = false
  /// The bytes of the head that were not sent. They do not count as bytes of the body.
  private var headBytes: Int
  private var bytes: [UInt8]
  private var offset = 0

  /// Sent bytes are released in pieces of this size.
  private static let releasedBytes = 64 << 10

  init(head: [UInt8], _ body: LiveBody) {
    self.body = body
    bytes = head
    headBytes = head.count
  }

  /// Whether bytes wait for the client.
  var isWaiting: Bool { offset < bytes.count }

  mutating func append(_ more: [UInt8]) { bytes += more }

  /// Sends as many bytes as the system takes.
  mutating func write(to socket: ControlSocket) -> ControlSocket.Transfer {
    let transfer = socket.write(bytes, from: offset)
    guard case .bytes(let count) = transfer else { return transfer }
    offset += count
    let ofHead = min(count, headBytes)
    headBytes -= ofHead
    body.sent(count - ofHead)
    if offset == bytes.count {
      bytes.removeAll(keepingCapacity: offset <= Self.releasedBytes)
      offset = 0
    } else if offset >= Self.releasedBytes {
      bytes.removeFirst(offset)
      offset = 0
    }
    return transfer
  }
}
