internal import Dataflow
internal import Operators
internal import Records

/// Shows the state of a stage to other threads, but not so often that copying it costs.
struct StateDisplay: Sendable {
  /// The least time between two looks that nobody waits for.
  private static let pauseSeconds = 0.1

  let board: StreamBoard?
  /// Whether there is something new to show.
  var hasChanged = false
  private var next: Instant?

  init(_ board: StreamBoard?) {
    self.board = board
  }

  mutating func show(
    _ operators: OperatorChain, position: StreamPosition, at now: Instant, atOnce: Bool
  ) {
    guard let board, hasChanged, atOnce || now >= next ?? now else { return }
    board.show(operators, position: position)
    hasChanged = false
    next = now + Self.pauseSeconds
  }
}
