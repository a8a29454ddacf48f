internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - `written` is the unit that the sink has taken and that is not settled yet.
// - While `committing` is not nil, no later unit is written: its checkpoint is not stored yet.
// - The sink runs in the stage's own share. Dead letters and checkpoints run on a thread of the state's disk. So
//   neither disk blocks the threads of the other one.

/// Writes encoded units to the sink, and gives their events to the consumers: dead letters, metrics and log.
///
/// Commits a checkpoint at each barrier, after everything before it was written.
struct EmitStage: Stage {
  /// A step on a thread of a disk.
  private enum DiskStep {
    /// Records the splits that begin in a unit.
    case begin(OutputUnit)
    /// Writes the dead letters and the checkpoint of `written`, which began at `start`.
    case record(start: UInt64)
    /// Does the steps that may fail before the output gets its name.
    case prepare
    case finishSink
    case finishState
  }

  /// A checkpoint that is being stored.
  private struct Commit {
    var requests: [StreamRequest]
    var byteCount: Int
    /// When the sync of the outputs began.
    var start: UInt64
  }

  private let streamName: String
  private let metrics: StreamMetrics
  /// Called with each event after its batch was written.
  private let report: @Sendable (StreamEvent) -> Void
  private var output: StreamOutput
  private var written: OutputUnit?
  /// The unit to write, the splits of which are recorded.
  private var begun: OutputUnit?
  private var diskStep: DiskStep?
  private var committing: Commit?
  /// Whether all units are settled, so that only the epilogue is still to be passed on.
  private var hasEnded = false

  init(
    streamName: String, _ output: StreamOutput, metrics: StreamMetrics,
    report: @escaping @Sendable (StreamEvent) -> Void = { _ in }
  ) {
    self.report = report
    self.streamName = streamName
    self.output = output
    self.metrics = metrics
  }

  mutating func step(
    _ signal: consuming Signal<OutputUnit>, emit: (consuming Nothing) -> Void
  ) throws -> Progress {
    do {
      switch consume signal {
      case .element(let unit):
        guard unit.begun.isEmpty else { return try take(.begin(unit), on: output.stateDisk) }
        try write(unit)
      case .resume:
        if committing != nil { return try endCommit() }
        if let step = diskStep.take() { return try take(step) }
        if let unit = begun.take() { try write(unit) }
      case .end:
        try output.sink.end()
        hasEnded = true
      }
      if let awaiting = try output.push() { return .waits(awaiting) }
      if hasEnded || written?.barrier?.checkpoint != nil, let awaiting = try output.settle() {
        return .waits(awaiting)
      }
      return hasEnded ? try take(.prepare, on: output.stateDisk) : try settle()
    } catch let error as FileError {
      throw StreamError.inputOutput(error)
    } catch let error as StorageError {
      throw StreamError(error)
    }
  }

  private mutating func write(_ unit: OutputUnit) throws(FileError) {
    if let prologue = unit.prologue {
      try output.sink.begin(prologue, endingWith: unit.epilogue)
    }
    if !unit.origins.isEmpty {
      try output.sink.write(unit.pieces.isEmpty ? [unit.bytes] : unit.pieces, of: unit.origins)
    } else if !unit.pieces.isEmpty {
      try output.sink.write(pieces: unit.pieces)
    } else if !unit.bytes.isEmpty {
      try output.sink.write(unit.bytes, records: unit.records)
    }
    if output.letterTopic != nil {
      for record in unit.events.badRecords {
        try output.letterTopic?.write(
          refused: record.bytes, of: record.origin, because: "\(record.fault)")
      }
    }
    if let prologue = unit.nextPrologue { output.sink.changePrologue(to: prologue) }
    metrics.droppedWriteCount.store(output.sink.droppedWrites, ordering: .relaxed)
    written = unit
  }

  /// Counts the unit that the sink has passed on, and then writes its dead letters and its checkpoint.
  private mutating func settle() throws -> Progress {
    guard let unit = written else { return idle }
    metrics.recordCount.add(unit.records, ordering: .relaxed)
    for event in unit.events {
      metrics.count(event)
      report(event)
    }
    metrics.outputByteCount.add(
      (unit.prologue?.count ?? 0) + unit.encodedByteCount, ordering: .relaxed)
    metrics.count(unit.cuts)
    if output.letterTopic != nil {
      metrics.deadLetterCount.add(unit.events.badRecords.count, ordering: .relaxed)
    }
    let start = metrics.now
    if unit.barrier?.checkpoint != nil {
      do {
        try output.sink.sync()
      } catch {
        metrics.checkpointFailureCount.add(1, ordering: .relaxed)
        throw error
      }
    } else if output.deadLetters == nil || unit.events.badRecords.isEmpty {
      written = nil
      return idle
    }
    return try take(.record(start: start), on: output.stateDisk)
  }

  /// The need of the stage while it has nothing to write.
  private var idle: Progress {
    (output.sink.attention ?? output.letterTopic?.attention).map { .nextOr($0) } ?? .next
  }

  // MARK: Disks

  /// Takes a step on a thread of `disk`; at once if `disk` is nil.
  private mutating func take(_ step: DiskStep, on disk: Disk?) throws -> Progress {
    guard let disk else { return try take(step) }
    diskStep = step
    return .waits(Awaiting(threadOf: disk))
  }

  private mutating func take(_ step: DiskStep) throws -> Progress {
    switch step {
    case .begin(let unit):
      // A restart must know them before it sees any output of them.
      try output.keeper?.add(unit.begun)
      begun = unit
      return .again
    case .record(let start):
      try record(since: start)
      return try endCommit()
    case .prepare:
      try output.keeper?.prepare()
      return try take(.finishSink, on: output.sinkDisk)
    case .finishSink:
      try output.sink.finish()
      return try take(.finishState, on: output.stateDisk)
    case .finishState:
      try output.deadLetters?.finish()
      try output.keeper?.finish()
      return .finished
    }
  }

  private mutating func record(since start: UInt64) throws {
    guard let unit = written.take() else { return }
    if output.deadLetters != nil {
      let records = unit.events.badRecords
      for record in records {
        let letter = DeadLetter(record, stream: streamName)
        try output.deadLetters?.write(letter.line)
      }
      metrics.deadLetterCount.add(records.count, ordering: .relaxed)
    }
    guard let barrier = unit.barrier else { return }
    do {
      try commit(barrier, since: start)
    } catch {
      metrics.checkpointFailureCount.add(1, ordering: .relaxed)
      throw error
    }
  }

  /// Commits a checkpoint of everything before a barrier. The sink is synced already.
  private mutating func commit(_ barrier: Barrier, since start: UInt64) throws {
    guard var checkpoint = barrier.checkpoint else { return }
    try output.deadLetters?.sync()
    checkpoint.input = barrier.input
    checkpoint.gradients = barrier.gradients
    checkpoint.outputs[.output] = output.sink.outputPosition
    checkpoint.outputs[.output]?.destination = output.destination
    checkpoint.outputs[.deadLetters] = output.deadLetters?.outputPosition
    let byteCount = try output.keeper?.keep(checkpoint, barrier.doneChanges)
    committing = Commit(requests: barrier.requests, byteCount: byteCount ?? 0, start: start)
  }

  /// Waits until the checkpoint is stored, if there is one, and tells those who asked for it.
  private mutating func endCommit() throws -> Progress {
    guard committing != nil else { return idle }
    do {
      if let awaiting = try output.keeper?.settle() { return .waits(awaiting) }
    } catch {
      metrics.checkpointFailureCount.add(1, ordering: .relaxed)
      throw error
    }
    guard let commit = committing.take() else { return idle }
    let end = metrics.now
    metrics.checkpointNanoseconds.store(
      max(1, end - min(end, commit.start)), ordering: .relaxed)
    metrics.checkpointByteCount.store(commit.byteCount, ordering: .relaxed)
    metrics.checkpointCount.add(1, ordering: .relaxed)
    metrics.lastCheckpointTime.store(end, ordering: .relaxed)
    for request in commit.requests { request.answer(.success(.done(nil))) }
    return idle
  }
}

extension StreamOutput {
  /// Passes on what the sink and the topic of dead letters were given, without waiting.
  fileprivate mutating func push() throws(FileError) -> Awaiting? {
    if let awaiting = try sink.push() { return awaiting }
    return try letterTopic?.push()
  }

  /// Waits until it is stored.
  fileprivate mutating func settle() throws(FileError) -> Awaiting? {
    if let awaiting = try sink.settle() { return awaiting }
    return try letterTopic?.settle()
  }
}
