package import Dataflow
internal import Glibc
package import Logging
package import Supervision

/// The daemon's HTTP server: health, metrics, the JSON API and the live page.
///
/// It has two threads, which exist while it runs. `ControlLoop` moves bytes and answers `/healthz`. A `SerialThread`
/// makes all other answers.
package final class ControlServer: Sendable {
  /// The addresses at which it listens, with the ports that the system chose for port 0.
  package var addresses: [ControlAddress] { listeners.map(\.address) }

  private let settings: ControlSettings
  private let listeners: [Listener]
  private let loop: ControlLoop
  private let worker: SerialThread
  private let answers: ControlAnswers
  private let hasEnded = Wakeup()

  /// Reads the token file and listens. `start()` begins to answer.
  ///
  /// - Throws: `ControlError`.
  package convenience init(
    _ settings: ControlSettings, supervision: some StreamSupervision, logger: Logger,
    clock: Clock = .system
  ) throws(ControlError) {
    try self.init(
      settings, supervision: supervision, logger: logger, limits: HTTPLimits(), clock: clock)
  }

  init(
    _ settings: ControlSettings, supervision: any StreamSupervision, logger: Logger,
    limits: HTTPLimits, clock: Clock = .system
  ) throws(ControlError) {
    self.settings = settings
    for address in settings.addresses where !address.isLocal && !settings.allowsOtherMachines {
      throw .address("\(address)", expected: "a loopback address or a Unix socket")
    }
    let statistics = ControlStatistics()
    answers = ControlAnswers(
      settings: settings, supervision: supervision, token: try Self.token(settings),
      statistics: statistics, clock: clock, logger: logger)
    var listeners: [Listener] = []
    do throws(ControlError) {
      for address in settings.addresses { listeners.append(try Listener(address)) }
    } catch {
      for listener in listeners { listener.close() }
      throw error
    }
    self.listeners = listeners
    do {
      worker = try SerialThread(name: "control.answer", clock: clock)
      loop = try ControlLoop(
        listeners, limits: limits, clock: clock, logger: logger, statistics: statistics,
        admission: answers.admission,
        lookUp: { [worker, answers] reply in
          worker.async {
            answers.lookAtStreams()
            reply.readOn()
          }
        },
        answer: { [worker, answers] request, reply in
          worker.async { answers.answer(request, reply) }
        })
    } catch {
      for listener in listeners { listener.close() }
      throw .cannotListen("\(settings.addresses)", reason: "\(error)")
    }
  }

  /// The descriptors that a server holds while no client is connected.
  package static func descriptorCount(addresses: Int) -> Int {
    addresses == 0 ? 0 : addresses + ControlLoop.descriptorCount
  }

  /// Reads the token file as a start would, to check it.
  ///
  /// - Throws: `ControlError.tokenFile`, `.unfitToken`, `.openToken`.
  package static func checkToken(_ path: String) throws(ControlError) {
    _ = try BearerToken(path: path)
  }

  /// Reads the token file again. After a failure, the old token stays.
  ///
  /// - Throws: `ControlError.tokenFile`, `.unfitToken`, `.openToken`.
  package func reloadToken() throws(ControlError) {
    answers.setToken(try Self.token(settings))
  }

  /// Answers from now on until `stop()`. A server runs once.
  ///
  /// - Throws: `ControlError.cannotListen` if the system refuses a thread.
  package func start() throws(ControlError) {
    sampleRates()
    do {
      try startThread("control.loop") { [self] in
        loop.run()
        worker.stop()
        hasEnded.signal()
      }
    } catch {
      throw .cannotListen("\(settings.addresses)", reason: "\(error)")
    }
  }

  /// Stops listening. Returns when the current requests have ended, at most after 3 seconds.
  package func stop() {
    loop.mail.stop()
    hasEnded.wait(seconds: 3)
  }

  private func sampleRates() {
    answers.sampleRates()
    worker.after(seconds: 1) { [weak self] in self?.sampleRates() }
  }

  private static func token(_ settings: ControlSettings) throws(ControlError) -> BearerToken? {
    guard let path = settings.tokenFile else { return nil }
    return try BearerToken(path: path)
  }
}

/// Makes the answers of a server on one thread, except those that a stream sends later.
final class ControlAnswers: @unchecked Sendable {
  // @unchecked because `rates`, `bodies` and the counts for the log are only touched on the worker's thread.

  private let settings: ControlSettings
  private let supervision: any StreamSupervision
  private let statistics: ControlStatistics
  private let clock: Clock
  private let logger: Logger
  let admission: BodyAdmission
  private var rates = RateSampler()
  private var refusalsToldAt: Instant?
  private var untoldRefusals = 0
  /// The bodies of answers that go on, some of which may have ended.
  private var bodies: [LiveBody] = []

  /// The most answers that go on at once. Each may hold `LiveBody.mostWaitingBytes`.
  static let mostBodies = 8
  /// The seconds between two log messages about refused requests, because a web page could send thousands.
  private static let secondsBetweenRefusals = 10.0

  init(
    settings: ControlSettings, supervision: any StreamSupervision, token: BearerToken?,
    statistics: ControlStatistics, clock: Clock, logger: Logger
  ) {
    self.settings = settings
    self.supervision = supervision
    admission = BodyAdmission(
      AccessPolicy(token: token, allowsOtherMachines: settings.allowsOtherMachines))
    self.statistics = statistics
    self.clock = clock
    self.logger = logger
  }

  func setToken(_ token: BearerToken?) { admission.setToken(token) }

  func sampleRates() {
    let statuses = supervision.statuses()
    rates.take(statuses, at: clock.now())
    admission.set(statuses)
  }

  /// Looks at the streams for the bounds of bodies.
  func lookAtStreams() { admission.set(supervision.statuses()) }

  func answer(_ request: HTTPRequest, _ reply: ControlReply) {
    let routes = Routes(
      supervision: supervision, settings: settings, rates: rates, statistics: statistics,
      policy: admission.policy,
      makeBody: { self.makeBody(for: reply) })
    let changes = request.head.method != "GET" && request.head.method != "HEAD"
    do throws(HTTPFault) {
      try routes.answer(request) { [logger] outcome in
        switch outcome {
        case .pending(let make): reply.expect(orElse: make)
        case .frequent(let make):
          logger.debug("control plane: \(request.head.path): 200")
          reply.send(make)
        case .response(let response):
          if changes {
            logger.info(
              "control plane: \(request.head.method) \(request.head.path): \(response.status)")
          }
          reply.send(response)
        }
      }
      if let body = bodies.last, body.answers(reply) {
        logger.info("control plane: \(request.head.method) \(request.head.path): 200")
      }
    } catch {
      if error.status == 401 || error.status == 403 { tell(error, request) }
      reply.send(HTTPResponse(error))
    }
  }

  private func makeBody(for reply: ControlReply) -> LiveBody? {
    bodies.removeAll(where: \.isClosed)
    guard bodies.count < Self.mostBodies else { return nil }
    bodies.append(LiveBody(reply))
    return bodies.last
  }

  private func tell(_ fault: HTTPFault, _ request: HTTPRequest) {
    untoldRefusals += 1
    let now = clock.now()
    if let last = refusalsToldAt, now.seconds(since: last) < Self.secondsBetweenRefusals { return }
    logger.warning(
      "control plane: refused \(request.head.method): \(fault.message)",
      metadata: ["count": "\(untoldRefusals)"])
    (refusalsToldAt, untoldRefusals) = (now, 0)
  }
}
