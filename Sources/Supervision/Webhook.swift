internal import Connectors
internal import Dataflow
internal import Logging
internal import Operators
internal import Storage
internal import Stream

// Invariants:
// - `waiting` and `isBusy` are only touched with `lock` held; `isBusy` while `sendNext` is on its way or a pause runs.
// - At most one request is under way. Requests go in the order of their events.

/// Posts events of streams to addresses that their users name, each until it is taken or until the attempts are used up.
///
/// A thread of its own waits for the network, so that no stream does.
final class Webhook: @unchecked Sendable {
  // @unchecked because of the first invariant.

  private struct Request {
    let address: WebhookAddress
    let body: String
    var attempts = 0
  }

  /// The most events that wait. If there are more, the oldest is dropped.
  static let capacity = 64
  private static let mostAttempts = 8
  private static let timeoutSeconds = 5.0

  private let thread: SerialThread
  private let logger: Logger
  private let firstPauseSeconds: Double
  private let lock = Lock()
  private var waiting: [Request] = []
  private var isBusy = false

  /// - Parameter firstPauseSeconds: the pause after a first failure. It doubles with each further one.
  init(logger: Logger, firstPauseSeconds: Double = 1, clock: Clock = .system) throws(ThreadError) {
    thread = try SerialThread(name: "webhook", clock: clock)
    self.logger = logger
    self.firstPauseSeconds = firstPauseSeconds
  }

  deinit { thread.stop() }

  /// Posts a JSON text, after all earlier ones. It does not wait, whatever the network does.
  func post(_ body: String, to address: WebhookAddress) {
    let (drops, begins) = lock.withLock {
      waiting.append(Request(address: address, body: body))
      let drops = waiting.count > Self.capacity
      if drops { waiting.removeFirst() }
      defer { isBusy = true }
      return (drops, !isBusy)
    }
    if drops {
      logger.warning("dropped the oldest event for the webhook, because \(Self.capacity) wait")
    }
    if begins { sendSoon() }
  }

  private func sendSoon() {
    thread.async { [weak self] in self?.sendNext() }
  }

  /// Takes the oldest request; without one, rests.
  private func takeNext() -> Request? {
    lock.withLock {
      isBusy = !waiting.isEmpty
      return waiting.isEmpty ? nil : waiting.removeFirst()
    }
  }

  private func sendNext() {
    guard var request = takeNext() else { return }
    let failure: String
    do throws(FileError) {
      let address = request.address
      let status = try postHTTP(
        request.body, host: address.host, port: address.port, path: address.path,
        timeoutSeconds: Self.timeoutSeconds)
      if (200...299).contains(status) { return sendSoon() }
      failure = "status \(status)"
    } catch {
      failure = "\(error)"
    }
    request.attempts += 1
    guard request.attempts < Self.mostAttempts else {
      logger.error(
        "gave up a webhook after \(request.attempts) attempts: \(failure)",
        metadata: ["url": "\(request.address.text)", "body": "\(request.body)"])
      return sendSoon()
    }
    if request.attempts == 1 {
      logger.warning(
        "a webhook failed and is tried again: \(failure)",
        metadata: ["url": "\(request.address.text)"])
    }
    // It waits as the others do, so that it may be dropped as the oldest.
    let again = request
    lock.withLock { waiting.insert(again, at: 0) }
    let pause = firstPauseSeconds * Double(1 << (request.attempts - 1))
    thread.after(seconds: pause) { [weak self] in self?.sendNext() }
  }
}

/// Takes the events of a run: for the log, and for the address that the stream names.
struct EventReporter: Sendable {
  private let stream: String
  private let address: WebhookAddress?
  private let webhook: Webhook?
  private let metrics: StreamMetrics
  private let logger: Logger

  init(
    _ definition: StreamDefinition, _ webhook: Webhook?, _ metrics: StreamMetrics, _ logger: Logger
  ) {
    stream = definition.name
    address = definition.stream.driftWebhook
    self.webhook = webhook
    self.metrics = metrics
    self.logger = logger
  }

  func report(_ event: StreamEvent) {
    logger.report(event)
    // The metrics have counted the event just before.
    guard case .raised(let raised) = event, raised.isPosted, let webhook, let address,
      let logged = metrics.lastEvent
    else { return }
    webhook.post(logged.json(of: stream), to: address)
  }
}
