internal import Dataflow

/// When checkpoints of a running stream are taken, besides the one at its end.
package struct CheckpointSchedule: Sendable, Equatable {
  /// So long after the last one; nil is not by time.
  package var intervalSeconds: Double?
  /// After so many batches; nil is not by number.
  package var everyBatches: Int?

  package init(intervalSeconds: Double? = nil, everyBatches: Int? = nil) {
    self.intervalSeconds = intervalSeconds
    self.everyBatches = everyBatches
  }

  /// At the end of the stream alone.
  package static let atEnd = CheckpointSchedule()
}

/// Decides when IngestStage emits a barrier. Nothing else brings a checkpoint about.
///
/// A checkpoint is due
/// - when the stream has been opened, so that the place of its first output is known;
/// - `everyBatches` batches, or `intervalSeconds` seconds, after the last one: at a cut, or while the
///   source is idle if anything has left since;
/// - after a split's end, since its file may soon be gone, but ten times a second at most;
/// - when an operator asks for it or changes the state;
/// - at the end.
struct CheckpointPolicy: Sendable {
  /// Splits that end faster than this share a checkpoint.
  private static let splitEndSeconds = 0.1

  /// Nil takes no checkpoints.
  private let schedule: CheckpointSchedule?
  private let clock: Clock
  private var last: Instant
  private var batches = 0
  /// Whether anything has left that the last checkpoint does not know of.
  private(set) var isSettled = true
  private var splitHasEnded = false
  private(set) var isDue = false
  /// Those that are answered when the next checkpoint is committed.
  private var requests: [StreamRequest] = []

  init(_ schedule: CheckpointSchedule?, clock: Clock) {
    self.schedule = schedule
    self.clock = clock
    last = clock.now()
  }

  var isEnabled: Bool { schedule != nil }

  /// Whether checkpoints are taken before the end, so that a later run can go on from them.
  var letsRunsGoOn: Bool { schedule.map { $0 != .atEnd } ?? false }

  /// Records that something has left.
  mutating func left() { isSettled = false }

  mutating func splitEnded() {
    splitHasEnded = true
    isSettled = false
  }

  /// Makes a checkpoint due, on behalf of a request if one is given.
  mutating func demand(_ request: StreamRequest? = nil) {
    guard isEnabled else { return }
    if let request { requests.append(request) }
    isDue = true
  }

  mutating func batchCut() {
    guard let schedule else { return }
    batches += 1
    isSettled = false
    if let every = schedule.everyBatches, batches >= every { isDue = true }
    lookAtClock()
  }

  /// Makes a checkpoint due if it is by time.
  mutating func lookAtClock() {
    guard !isDue, let time = dueTime else { return }
    isDue = clock.now() >= time
  }

  /// When a checkpoint is due by time; nil if none is.
  private var dueTime: Instant? {
    guard let schedule, !isSettled else { return nil }
    let pauses = [
      schedule.intervalSeconds,
      splitHasEnded && letsRunsGoOn ? Self.splitEndSeconds : nil,
    ].compactMap(\.self)
    return pauses.min().map { last + $0 }
  }

  /// How long an idle source may wait before a checkpoint is due.
  var secondsUntilDue: Double? { dueTime?.seconds(since: clock.now()) }

  /// Records that a barrier is emitted.
  ///
  /// - Returns: the requests that it answers.
  mutating func barrierLeaves() -> [StreamRequest] {
    defer {
      (batches, isSettled, splitHasEnded, isDue) = (0, true, false, false)
      last = clock.now()
      requests = []
    }
    return requests
  }
}
