internal import Dataflow

/// The times of checkpoints while a stream runs, besides the one at its end.
package struct CheckpointSchedule: Sendable, Equatable {
  /// The seconds after the last checkpoint; nil for none by time.
  package var intervalSeconds: Double?
  /// The number of batches after the last checkpoint; nil for none by number.
  package var everyBatches: Int?
  /// The number of records after the last checkpoint from which on a cut brings one; nil for none by number.
  package var everyRecords: Int?
  /// Whether each cut by time brings one, so that a run that reads the records again cuts there too.
  package var atTimedCuts = false

  package init(
    intervalSeconds: Double? = nil, everyBatches: Int? = nil, everyRecords: Int? = nil,
    atTimedCuts: Bool = false
  ) {
    self.intervalSeconds = intervalSeconds
    self.everyBatches = everyBatches
    self.everyRecords = everyRecords
    self.atTimedCuts = atTimedCuts
  }

  /// Only one checkpoint, at the end of the stream.
  package static let atEnd = CheckpointSchedule()
}

/// Decides when IngestStage emits a barrier. Only barriers cause checkpoints.
///
/// A checkpoint is due
/// - when the stream has been opened, so that the position of its first output is known;
/// - `everyBatches` batches, `everyRecords` records or `intervalSeconds` seconds after the last one: at a cut, or while
///   the source is idle if anything has left since;
/// - at a cut by time, if the schedule says so;
/// - after a split's end, since its file may soon disappear, but at most ten times a second;
/// - when an operator requests it or changes the state, unless by a step of learning, of which there are many;
/// - when the run has come to records that no earlier run may have written;
/// - at the end.
struct CheckpointPolicy: Sendable {
  /// Splits that end within this time share a checkpoint.
  private let splitEndSeconds: Double
  /// Nil takes no checkpoints.
  private let schedule: CheckpointSchedule?
  private let clock: Clock
  private var last: Instant
  private var batches = 0
  private var records = 0
  /// The most records that are still to come and that an earlier run may have written; 0 if there are none.
  private var repeated = 0
  /// Whether the last checkpoint contains everything that has left.
  private(set) var isSettled = true
  private var splitHasEnded = false
  private(set) var isDue = false
  /// The requests that are answered when the next checkpoint is committed.
  private var requests: [StreamRequest] = []

  /// - Parameter isResumed: whether the run starts from a checkpoint. With `everyRecords`, an earlier run wrote at most so
  ///   many records after it, up to the next cut.
  init(
    _ schedule: CheckpointSchedule?, isResumed: Bool = false, splitEndSeconds: Double = 0.1,
    clock: Clock
  ) {
    if isResumed { repeated = schedule?.everyRecords ?? 0 }
    self.splitEndSeconds = splitEndSeconds
    self.schedule = schedule
    self.clock = clock
    last = clock.now()
  }

  var isEnabled: Bool { schedule != nil }

  /// Whether there are checkpoints before the end, so that a later run can resume.
  var letsRunsGoOn: Bool { schedule.map { $0 != .atEnd } ?? false }

  /// Records that something has left the stage.
  mutating func left() { isSettled = false }

  mutating func splitEnded() {
    splitHasEnded = true
    isSettled = false
  }

  /// Makes a checkpoint due, for a request if there is one.
  mutating func demand(_ request: StreamRequest? = nil) {
    guard isEnabled else { return }
    if let request { requests.append(request) }
    isDue = true
  }

  /// Counts records that leave the stage.
  mutating func count(_ records: Int) {
    self.records += records
    guard isRepeating else { return }
    repeated = max(0, repeated - records)
    if repeated == 0 { demand() }
  }

  /// Whether an earlier run may have written the next records.
  var isRepeating: Bool { repeated > 0 }

  /// Records that all records that an earlier run may have written have left.
  mutating func caughtUp() {
    guard isRepeating else { return }
    repeated = 0
    demand()
  }

  /// - Parameter byTime: whether the number of records did not decide.
  mutating func batchCut(byTime: Bool = false) {
    guard let schedule else { return }
    batches += 1
    isSettled = false
    if let every = schedule.everyBatches, batches >= every { isDue = true }
    if let every = schedule.everyRecords, records >= every { isDue = true }
    if byTime, schedule.atTimedCuts { isDue = true }
    lookAtClock()
  }

  /// Makes a checkpoint due if its time has come.
  mutating func lookAtClock() {
    guard !isDue, let time = dueTime else { return }
    isDue = clock.now() >= time
  }

  /// The time at which a checkpoint is due; nil if none is.
  private var dueTime: Instant? {
    guard let schedule, !isSettled else { return nil }
    let pauses = [
      schedule.intervalSeconds,
      splitHasEnded && letsRunsGoOn ? splitEndSeconds : nil,
    ].compactMap(\.self)
    return pauses.min().map { last + $0 }
  }

  /// How long an idle source may wait before a checkpoint is due.
  var secondsUntilDue: Double? { dueTime?.seconds(since: clock.now()) }

  /// Records that a barrier leaves the stage.
  ///
  /// - Returns: the requests that it answers.
  mutating func barrierLeaves() -> [StreamRequest] {
    defer {
      (batches, records) = (0, 0)
      (isSettled, splitHasEnded, isDue) = (true, false, false)
      last = clock.now()
      requests = []
    }
    return requests
  }
}
