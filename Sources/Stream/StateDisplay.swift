internal import Dataflow
internal import Operators
internal import Records

/// Copies the state of a stage to a snapshot for other threads. Limits how often, because a copy costs time.
struct StateDisplay: Sendable {
  /// The least time between two copies, unless `atOnce`.
  private static let pauseSeconds = 0.1

  let snapshot: StreamSnapshot?
  /// Whether there is something new to show.
  var hasChanged = false
  private var next: Instant?

  init(_ snapshot: StreamSnapshot?) {
    self.snapshot = snapshot
  }

  mutating func show(
    _ operators: OperatorChain, position: StreamPosition, at now: Instant, atOnce: Bool
  ) {
    guard let snapshot, hasChanged, atOnce || now >= next ?? now else { return }
    snapshot.show(operators, position: position)
    hasChanged = false
    next = now + Self.pauseSeconds
  }
}
