internal import Dataflow

/// Answers that go on.
extension ControlLoop {
  /// Sends the head of an answer.
  func begin(_ response: HTTPResponse, _ body: LiveBody, _ exchange: Int, _ key: Int) {
    let head = response.head(closes: true, endsWithConnection: true)
    clients[key]?.phase = .live(exchange: exchange, LiveAnswer(head: head, body))
    if mail.isStopping { remove(key) } else { writeLive(key) }
  }

  /// Continues an answer, with bytes or with its end.
  func goOn(_ key: Int, with bytes: [UInt8] = [], isLast: Bool = false) {
    guard case (let exchange, var answer)? = takeLive(key) else { return }
    answer.append(bytes)
    answer.isLast = isLast
    clients[key]?.phase = .live(exchange: exchange, answer)
    writeLive(key)
  }

  /// A client that ends its side of the connection wants no more. Other bytes from it are ignored.
  func serveLive(_ key: Int, hasFailed: Bool) {
    var ignored: [UInt8] = []
    if hasFailed || clients[key]?.socket.read(atMost: 4096, into: &ignored) == .ended {
      return remove(key)
    }
    writeLive(key)
  }

  private func writeLive(_ key: Int) {
    guard let socket = clients[key]?.socket, case (let exchange, var answer)? = takeLive(key)
    else { return }
    var transfer = ControlSocket.Transfer.bytes(0)
    while answer.isWaiting, case .bytes = transfer {
      transfer = answer.write(to: socket)
      // A client that takes something has time for the next bytes.
      if case .bytes = transfer { clients[key]?.deadline = nil }
    }
    clients[key]?.phase = .live(exchange: exchange, answer)
    if transfer == .ended || answer.isLast && !answer.isWaiting { return remove(key) }
    guard answer.isWaiting, clients[key]?.deadline == nil else { return }
    clients[key]?.deadline = clock.now() + limits.responseSeconds
  }

  /// Takes an answer out of its connection, so that it has one owner while it grows. The caller must put it back.
  private func takeLive(_ key: Int) -> (exchange: Int, answer: LiveAnswer)? {
    guard case .live(let exchange, let answer) = clients[key]?.phase else { return nil }
    clients[key]?.phase = .answering(exchange: exchange, fallback: nil)
    return (exchange, answer)
  }
}
