internal import Connectors
internal import Dataflow
internal import Logging
internal import Operators
internal import Storage
internal import Stream

// Invariants:
// - `waiting` and `isSending` are only touched on `thread`.
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
  private var waiting: [Request] = []
  private var isSending = false

  /// - Parameter firstPauseSeconds: the pause after a first failure. It doubles with each further one.
  init(logger: Logger, firstPauseSeconds: Double = 1, clock: Clock = .system) throws(ThreadError) {
    thread = try SerialThread(name: "webhook", clock: clock)
    self.logger = logger
    self.firstPauseSeconds = firstPauseSeconds
  }

  deinit { thread.stop() }

  /// Posts a JSON text, after all earlier ones.
  func post(_ body: String, to address: WebhookAddress) {
    thread.async { [weak self] in
      guard let self else { return }
      waiting.append(Request(address: address, body: body))
      if waiting.count > Self.capacity {
        waiting.removeFirst()
        logger.warning("dropped the oldest event for the webhook, because \(Self.capacity) wait")
      }
      sendNext()
    }
  }

  private func sendNext() {
    guard !isSending, var request = waiting.first else { return }
    waiting.removeFirst()
    let failure: String
    do throws(FileError) {
      let address = request.address
      let status = try postHTTP(
        request.body, host: address.host, port: address.port, path: address.path,
        timeoutSeconds: Self.timeoutSeconds)
      if (200...299).contains(status) { return sendNext() }
      failure = "status \(status)"
    } catch {
      failure = "\(error)"
    }
    request.attempts += 1
    guard request.attempts < Self.mostAttempts else {
      logger.error(
        "gave up a webhook after \(request.attempts) attempts: \(failure)",
        metadata: ["url": "\(request.address.text)", "body": "\(request.body)"])
      return sendNext()
    }
    if request.attempts == 1 {
      logger.warning(
        "a webhook failed and is tried again: \(failure)",
        metadata: ["url": "\(request.address.text)"])
    }
    waiting.insert(request, at: 0)
    isSending = true
    let pause = firstPauseSeconds * Double(1 << (request.attempts - 1))
    thread.after(seconds: pause) { [weak self] in
      self?.isSending = false
      self?.sendNext()
    }
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
      let logged = metrics.events(after: 0).last
    else { return }
    webhook.post(logged.json(of: stream), to: address)
  }
}
