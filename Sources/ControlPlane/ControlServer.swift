internal import FlyingSocks
internal import Glibc
package import Logging
package import Supervision

/// The daemon's HTTP server: health, metrics, the JSON API and the live page.
///
/// A server listens from its making, answers while `run()` runs and ends with it.
package final class ControlServer: Sendable {
  /// Where it listens, with the ports that the system chose where 0 was asked for.
  package var addresses: [ControlAddress] { listeners.map(\.address) }

  private let settings: ControlSettings
  private let limits: HTTPLimits
  private let supervision: any StreamSupervision
  private let listeners: [Listener]
  private let state: ServerState
  private let rates = RateSampler()
  private let logger: Logger

  /// How long requests under way may take once the server is to stop, in seconds.
  private static let graceSeconds = 2.0

  /// Reads the token file and listens.
  ///
  /// - Throws: `ControlError`.
  package convenience init(
    _ settings: ControlSettings, supervision: some StreamSupervision, logger: Logger
  ) throws(ControlError) {
    try self.init(settings, supervision: supervision, logger: logger, limits: HTTPLimits())
  }

  init(
    _ settings: ControlSettings, supervision: any StreamSupervision, logger: Logger,
    limits: HTTPLimits
  ) throws(ControlError) {
    self.settings = settings
    self.limits = limits
    self.supervision = supervision
    self.logger = logger
    state = ServerState(token: try Self.token(settings))
    for address in settings.addresses where !address.isLocal && !settings.allowsOtherMachines {
      throw .address("\(address)", expected: "a loopback address or a Unix socket")
    }
    var listeners: [Listener] = []
    do throws(ControlError) {
      for address in settings.addresses { listeners.append(try Listener(address)) }
    } catch {
      for listener in listeners { listener.close() }
      throw error
    }
    self.listeners = listeners
  }

  /// Reads the token file again; after a failure the token stays what it was.
  ///
  /// - Throws: `ControlError.tokenFile`, `.unfitToken`.
  package func reloadToken() async throws(ControlError) {
    await state.setToken(try Self.token(settings))
  }

  /// Answers until `stop()` or until the task is cancelled. A server runs once.
  package func run() async {
    // A client that goes away while it is answered must not end the process.
    signal(SIGPIPE, SIG_IGN)
    let pool = SocketPool<ePoll>.ePoll(maxEvents: 64)
    do {
      try await pool.prepare()
    } catch {
      logger.error("control plane: \(systemReason(error))")
      for listener in listeners { listener.close() }
      return
    }
    await withTaskGroup { group in
      group.addTask { [rates, supervision] in await rates.run(supervision) }
      group.addTask { [self] in
        do {
          try await pool.run()
        } catch  where !Task.isCancelled {
          logger.error("control plane: \(systemReason(error))")
        } catch {
          // The server stops.
        }
      }
      for listener in listeners {
        group.addTask { await self.accept(from: listener, pool: pool) }
      }
      await state.untilStopped()
      for listener in listeners { listener.close() }
      let end = ContinuousClock.now + .seconds(Self.graceSeconds)
      while await state.exchanges > 0, ContinuousClock.now < end, !Task.isCancelled {
        try? await Task.sleep(for: .milliseconds(5))
      }
      group.cancelAll()
    }
  }

  /// Listens no more, lets requests under way end within two seconds, and makes `run()` return.
  package func stop() async {
    await state.stop()
  }

  private static func token(_ settings: ControlSettings) throws(ControlError) -> BearerToken? {
    guard let path = settings.tokenFile else { return nil }
    return try BearerToken(path: path)
  }

  private func accept(from listener: Listener, pool: some AsyncSocketPool) async {
    guard let server = try? AsyncSocket(socket: listener.socket, pool: pool) else { return }
    await withDiscardingTaskGroup { group in
      while await !state.isStopping {
        do {
          let socket = try await server.accept()
          let isAdmitted = await state.admit(limit: limits.connections)
          group.addTask {
            await self.serve(socket, overUnixSocket: listener.address.isUnix, isAdmitted)
            try? socket.close()
          }
        } catch {
          if await state.isStopping || Task.isCancelled { break }
          // Descriptors may have run out; they come back.
          logger.warning("control plane: accept: \(systemReason(error))")
          try? await Task.sleep(for: .milliseconds(100))
        }
      }
    }
  }

  private func serve(_ socket: AsyncSocket, overUnixSocket: Bool, _ isAdmitted: Bool) async {
    var connection = HTTPConnection(socket, limits: limits)
    guard isAdmitted else {
      let busy = HTTPResponse(HTTPFault(503, "too many connections"))
      try? await connection.send(busy, withBody: true, closes: true)
      await connection.closeAfterRefusal()
      return
    }
    do {
      while let request = try await connection.nextRequest(overUnixSocket: overUnixSocket) {
        await state.beginExchange()
        let response = await answer(request)
        let isStopping = await state.isStopping
        let closes = isStopping || !request.head.keepsAlive
        let result: Result<Void, any Error>
        do {
          try await connection.send(
            response, withBody: request.head.method != "HEAD", closes: closes)
          result = .success(())
        } catch {
          result = .failure(error)
        }
        await state.endExchange()
        try result.get()
        if closes { break }
      }
    } catch let fault as HTTPFault {
      try? await connection.send(HTTPResponse(fault), withBody: true, closes: true)
      await connection.closeAfterRefusal()
    } catch {
      logger.debug("control plane: connection: \(systemReason(error))")
    }
    await state.release()
  }

  private func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let routes = Routes(
      supervision: supervision, settings: settings, rates: rates,
      policy: ChangePolicy(
        token: await state.token, allowsOtherMachines: settings.allowsOtherMachines))
    do throws(HTTPFault) {
      let response = try await routes.answer(request)
      if request.head.method != "GET", request.head.method != "HEAD" {
        logger.info(
          "control plane: \(request.head.method) \(request.head.path): \(response.status)")
      }
      return response
    } catch {
      if error.status == 401 || error.status == 403 {
        logger.warning("control plane: refused \(request.head.method): \(error.message)")
      }
      return HTTPResponse(error)
    }
  }
}

/// What the connections of a server share.
private actor ServerState {
  private(set) var token: BearerToken?
  private(set) var isStopping = false
  /// Requests that are being answered.
  private(set) var exchanges = 0
  private var connections = 0
  private let stopped: AsyncStream<Void>
  private let stopping: AsyncStream<Void>.Continuation

  init(token: BearerToken?) {
    self.token = token
    (stopped, stopping) = AsyncStream.makeStream()
  }

  func setToken(_ token: BearerToken?) { self.token = token }

  func stop() {
    isStopping = true
    stopping.finish()
  }

  /// Returns when the server is to stop, or at the task's cancellation.
  func untilStopped() async {
    for await _ in stopped {}
    isStopping = true
  }

  /// Counts a connection in; those above the limit are counted neither in nor out.
  func admit(limit: Int) -> Bool {
    guard connections < limit else { return false }
    connections += 1
    return true
  }

  func release() { connections -= 1 }
  func beginExchange() { exchanges += 1 }
  func endExchange() { exchanges -= 1 }
}
