internal import Connectors
internal import Dataflow
internal import Operators
internal import Records
internal import Synchronization

/// Turns gradients into requests, and tells of those that are refused.
final class GradientRequests: Sendable {
  /// The time between two warnings, in seconds. The metrics count every line.
  private static let pauseSeconds = 10.0

  private let stream: String
  private let file: String
  private let metrics: StreamMetrics
  private let clock: Clock
  private let warn: @Sendable (String) -> Void
  /// In nanoseconds of the monotonic clock; 0 before the first warning.
  private let lastWarning = Atomic<UInt64>(0)

  init(
    of stream: String, from file: String, metrics: StreamMetrics, clock: Clock,
    warn: @escaping @Sendable (String) -> Void
  ) {
    (self.stream, self.file, self.metrics, self.clock) = (stream, file, metrics, clock)
    self.warn = warn
  }

  /// The requests of a line; none if it is refused at once.
  func requests(_ line: GradientFeed.Line) -> [StreamRequest] {
    let number = line.number
    switch line.content {
    case .success(let gradients):
      return zip(number..., gradients).map { number, each in
        let command = StreamCommand.update(StreamUpdate("gradients", each.body))
        let counted = metrics.counting(command) { result in
          if case .failure(let refusal) = result { self.refused(number, "\(refusal)") }
        }
        let byteCount = line.byteCount / gradients.count
        return StreamRequest(command, of: stream, byteCount: byteCount) { result in
          // A later run reads the line again.
          if case .failure(.notRunning) = result { return }
          counted(result)
        }
      }
    case .failure(let error):
      let reply = metrics.counting(.update(StreamUpdate("gradients"))) { _ in
        self.refused(number, error.description)
      }
      reply(.failure(.unfit(error.description)))
      return []
    }
  }

  private func refused(_ line: Int, _ reason: String) {
    let now = max(1, clock.now().nanoseconds)
    let last = lastWarning.load(ordering: .relaxed)
    guard last == 0 || now - min(now, last) >= UInt64(Self.pauseSeconds * 1e9) else { return }
    lastWarning.store(now, ordering: .relaxed)
    warn("gradients refused, line \(line) of \(file): \(reason)")
  }
}

/// The gradients of a stream, and the requests that they become.
struct GradientIntake: Sendable {
  var feed: GradientFeed
  let requests: GradientRequests
  /// The result of the last look.
  var found = Found.nothing
  private var either: EitherReadable?

  enum Found {
    case nothing
    case lines
    /// Lines, for which there was no more time.
    case tooMany
  }

  mutating func beginLook() {
    found = .nothing
    feed.beginLook()
  }

  /// The time until the next look while the stream has no records, in seconds.
  var pauseSeconds: Double {
    switch found {
    case .nothing: GradientFeed.pauseSeconds
    case .lines: GradientFeed.shortPauseSeconds
    case .tooMany: 0
    }
  }

  init(_ feed: GradientFeed, _ context: IngestContext) {
    self.feed = feed
    self.feed.warn = context.warn
    requests = GradientRequests(
      of: context.configuration.name, from: feed.name, metrics: context.metrics,
      clock: context.clock, warn: context.warn)
  }

  /// The wait of an idle stream: for records, gradients, or a time.
  ///
  /// After a look that found lines, time alone ends the wait for gradients: a wake for each line would cost more than the
  /// line.
  mutating func wait(or records: Awaiting) -> Awaiting {
    var awaiting = records
    let pause = pauseSeconds
    awaiting.seconds = min(records.seconds ?? pause, pause)
    guard found == .nothing, case .readable(let gradients)? = feed.awaiting?.readiness else {
      return awaiting
    }
    switch records.readiness {
    case .readable(let records):
      // Without a descriptor left, the stream still looks after a pause.
      if either == nil { either = try? EitherReadable(feed.name) }
      if let both = either?.watch(records, gradients) { awaiting.readiness = both }
    case nil: awaiting.readiness = feed.awaiting?.readiness
    case .writable: break
    }
    return awaiting
  }
}
