package import Connectors
package import Dataflow
internal import Operators
internal import Synchronization

/// The counts of a running stream. Its stages write them; any thread may read them.
package final class StreamMetrics: Sendable {
  let recordCount = Atomic(0)
  let batchCount = Atomic(0)
  let badRecordCount = Atomic(0)
  let inputByteCount = Atomic(0)
  let soughtByteCount = Atomic(0)
  let outputByteCount = Atomic(0)
  let ingestedRecordCount = Atomic(0)
  let checkpointCount = Atomic(0)
  let rateLimitCount = Atomic(0)
  let droppedWriteCount = Atomic(0)
  /// In nanoseconds of the monotonic clock; 0 before the first record.
  let lastRecordTime = Atomic<UInt64>(0)
  let lastCheckpointTime = Atomic<UInt64>(0)
  let deadLetterCount = Atomic(0)
  let checkpointFailureCount = Atomic(0)
  /// The duration of the last checkpoint; 0 before the first.
  let checkpointNanoseconds = Atomic<UInt64>(0)
  let checkpointByteCount = Atomic(0)
  package let connectors = ConnectorStatistics()
  /// The last events that operators raised.
  private let eventLog: EventLog
  /// The partition whose counts these are; nil for a whole stream.
  private let partition: Int?
  private let histograms = BatchHistograms()
  private let raised = Mutex<[String: Int]>([:])
  private let requested = Mutex<[ChangeOutcome: Int]>([:])
  private let clock: Clock

  /// - Parameters:
  ///   - partition: the one whose counts these are; nil for a whole stream.
  ///   - events: the log of the stream.
  package init(clock: Clock = .system, partition: Int? = nil, events: EventLog = EventLog()) {
    (self.clock, self.partition, eventLog) = (clock, partition, events)
  }

  /// Records emitted.
  package var records: Int { recordCount.load(ordering: .relaxed) }
  /// Batches emitted.
  package var batches: Int { batchCount.load(ordering: .relaxed) }
  /// Records dropped.
  package var badRecords: Int { badRecordCount.load(ordering: .relaxed) }
  /// Bytes read from the source, before decompression.
  package var bytesIn: Int { inputByteCount.load(ordering: .relaxed) }
  /// Bytes of the source that were skipped, because an earlier run had read them.
  package var bytesPassedOver: Int { soughtByteCount.load(ordering: .relaxed) }
  /// Bytes given to the sink.
  package var bytesOut: Int { outputByteCount.load(ordering: .relaxed) }
  /// Writes of the current run that no reader got.
  package var droppedWrites: Int { droppedWriteCount.load(ordering: .relaxed) }
  package var checkpoints: Int { checkpointCount.load(ordering: .relaxed) }
  /// Reads that waited because of `limits.rate`.
  package var rateLimitedReads: Int { rateLimitCount.load(ordering: .relaxed) }
  /// Records read and not yet emitted.
  package var recordsInFlight: Int {
    max(0, ingestedRecordCount.load(ordering: .relaxed) - records)
  }
  package var idleSeconds: Double? { age(of: lastRecordTime.load(ordering: .relaxed)) }
  package var checkpointAgeSeconds: Double? {
    age(of: lastCheckpointTime.load(ordering: .relaxed))
  }
  /// Dropped records that were written to the dead letters.
  package var deadLetters: Int { deadLetterCount.load(ordering: .relaxed) }
  package var checkpointFailures: Int { checkpointFailureCount.load(ordering: .relaxed) }
  /// The duration of the last checkpoint, with the sync of the outputs; nil before the first.
  package var checkpointSeconds: Double? {
    let nanoseconds = checkpointNanoseconds.load(ordering: .relaxed)
    return nanoseconds == 0 ? nil : Double(nanoseconds) / 1e9
  }
  /// The size of the last checkpoint; nil before the first.
  package var checkpointBytes: Int? {
    let count = checkpointByteCount.load(ordering: .relaxed)
    return count == 0 ? nil : count
  }
  /// The time from the cut of a batch to its emission, in seconds.
  package var batchLatency: Histogram { histograms.both.latency }
  /// The number of records in a batch.
  package var batchSize: Histogram { histograms.both.size }

  /// In nanoseconds of the monotonic clock.
  var now: UInt64 { clock.now().nanoseconds }

  /// Resets the number of records that an earlier run had read and not emitted.
  package func beginRun() {
    connectors.beginRun()
    ingestedRecordCount.store(records, ordering: .relaxed)
  }

  /// How often operators raised each kind of event, by the name of the kind.
  package var events: [String: Int] { raised.withLock { $0 } }

  /// The last events of the stream that operators raised, after the one of a number.
  package func events(after number: Int) -> [LoggedEvent] { eventLog.events(after: number) }

  /// The last event that operators raised here, and not in another partition of the stream.
  package var lastEvent: LoggedEvent? { events(after: 0).last { $0.partition == partition } }

  func count(_ event: StreamEvent) {
    switch event {
    case .badRecord(let record):
      badRecordCount.add(1, ordering: .relaxed)
      // It is no longer on its way.
      if record.wasRead { ingestedRecordCount.subtract(1, ordering: .relaxed) }
    case .opened, .applied: break
    case .raised(let event):
      raised.withLock { $0[event.kind.name, default: 0] += 1 }
      eventLog.append(event, wallSeconds: clock.wallSeconds(), partition: partition)
    }
  }

  /// The updates that users requested, by outcome.
  package var changes: [ChangeOutcome: Int] { requested.withLock { $0 } }

  /// A reply that counts the outcome of a user's request before it is given.
  package func counting(_ command: StreamCommand, _ reply: @escaping CommandReply) -> CommandReply {
    guard case .update(let update) = command else { return reply }
    return { result in
      let outcome = ChangeOutcome(update, result)
      self.requested.withLock { $0[outcome, default: 0] += 1 }
      reply(result)
    }
  }

  func count(_ cuts: [BatchCut]) {
    guard !cuts.isEmpty else { return }
    batchCount.add(cuts.count, ordering: .relaxed)
    histograms.observe(cuts, at: now)
  }

  private func age(of time: UInt64) -> Double? {
    time == 0 ? nil : Double(now - min(now, time)) / 1e9
  }
}

/// The distributions of batches, protected by a lock.
private final class BatchHistograms: @unchecked Sendable {
  // @unchecked because the histograms are only touched with `lock` held.
  private let lock = Lock()
  private var latency = Histogram(bounds: [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5,
    1, 2.5, 5, 10,
  ])
  private var size = Histogram(bounds: (0...20).map { Double(1 << $0) })

  var both: (latency: Histogram, size: Histogram) { lock.withLock { (latency, size) } }

  func observe(_ cuts: [BatchCut], at time: UInt64) {
    lock.withLock {
      for cut in cuts {
        latency.observe(Double(time - min(time, cut.time)) / 1e9)
        size.observe(Double(cut.records))
      }
    }
  }
}
