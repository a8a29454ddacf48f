internal import Dataflow

/// Takes the requests of clients, and sends the answers.
extension ControlLoop {
  /// Answers the next request of a client, if it is complete.
  func takeRequest(_ key: Int) {
    guard var client = clients[key] else { return }
    do throws(HTTPFault) {
      let isOverUnixSocket = listeners[client.listener].address.isUnix
      let mayLookUp = !client.hasLooked
      let step = try client.reader.next { head throws(HTTPFault) in
        try admission.mostBytes(
          head, isOverUnixSocket: isOverUnixSocket,
          isBusy: clients.values.contains(where: \.reader.takesLargeBody),
          mayLookUp: mayLookUp)
      }
      clients[key]?.reader = client.reader
      switch step {
      case .needsMore(let asksForLeave):
        let leave = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
        if asksForLeave { _ = client.socket.write(leave, from: 0) }
      case .awaitsBound:
        lastExchange += 1
        clients[key]?.hasLooked = true
        clients[key]?.phase = .answering(exchange: lastExchange, fallback: nil)
        clients[key]?.deadline = nil
        lookUp(ControlReply(exchange: lastExchange, mail: mail))
      case .request(let head, let body):
        lastExchange += 1
        clients[key]?.hasLooked = false
        clients[key]?.keepsAlive = head.keepsAlive && !mail.isStopping
        clients[key]?.isHead = head.method == "HEAD"
        clients[key]?.phase = .answering(exchange: lastExchange, fallback: nil)
        clients[key]?.deadline = nil
        if let health = Routes.health(head) {
          return send(health, to: key, closes: clients[key]?.keepsAlive != true)
        }
        let request = HTTPRequest(head: head, body: body, isOverUnixSocket: isOverUnixSocket)
        answer(request, ControlReply(exchange: lastExchange, mail: mail))
      }
    } catch {
      refuse(error, key)
    }
  }

  func refuse(_ fault: HTTPFault, _ key: Int) {
    clients[key]?.lingers = true
    send(HTTPResponse(fault), to: key, closes: true)
  }

  func send(_ response: HTTPResponse, to key: Int, closes: Bool) {
    guard let client = clients[key] else { return }
    let bytes = response.head(closes: closes) + (client.isHead ? [] : response.body)
    clients[key]?.phase = .writing(bytes, offset: 0, closes: closes)
    clients[key]?.deadline = clock.now() + limits.responseSeconds
    write(key)
  }

  func write(_ key: Int) {
    guard let client = clients[key],
      case .writing(let bytes, var offset, let closes) = client.phase
    else { return }
    while offset < bytes.count {
      switch client.socket.write(bytes, from: offset) {
      case .bytes(let count): offset += count
      case .waits:
        clients[key]?.phase = .writing(bytes, offset: offset, closes: closes)
        return
      case .ended: return remove(key)
      }
    }
    if client.lingers {
      // If the socket were closed now, a client that still sends would lose the answer to a reset.
      client.socket.endSending()
      clients[key]?.phase = .lingering(discarded: 0)
      clients[key]?.deadline = clock.now() + limits.lingerSeconds
    } else if closes || mail.isStopping {
      remove(key)
    } else {
      clients[key]?.phase = .reading(hasBegun: client.reader.isUnderWay)
      clients[key]?.deadline =
        clock.now() + (client.reader.isUnderWay ? limits.requestSeconds : limits.idleSeconds)
      if client.reader.isUnderWay { takeRequest(key) }
    }
  }
}
