internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

// Invariant: `written` is the unit that was given to the sink and is not yet passed on.

/// Writes encoded units to the sink, rejected records to the dead letters, and a checkpoint once all
/// that it knows of is written.
struct EmitStage: Stage {
  private let streamName: String
  private let metrics: StreamMetrics
  private var output: StreamOutput
  private var written: EncodedBlock?

  init(streamName: String, _ output: StreamOutput, metrics: StreamMetrics) {
    self.streamName = streamName
    self.output = output
    self.metrics = metrics
  }

  mutating func step(
    _ signal: consuming Signal<EncodedBlock>, emit: (consuming Nothing) -> Void
  ) throws -> Progress {
    do {
      switch consume signal {
      case .element(let unit): try write(unit)
      case .resume: break
      case .end:
        try finish()
        return .finished
      }
      if let awaited = try output.sink.push() { return .waits(awaited) }
      try settle()
      return output.sink.attention.map { .nextOr($0) } ?? .next
    } catch let error as FileError {
      throw StreamError.inputOutput(error)
    } catch let error as StorageError {
      throw StreamError(error)
    }
  }

  private mutating func write(_ unit: EncodedBlock) throws(FileError) {
    if let prologue = unit.prologue { try output.sink.begin(prologue) }
    if !unit.bytes.isEmpty { try output.sink.write(unit.bytes) }
    metrics.droppedWriteCount.store(output.sink.droppedWrites, ordering: .relaxed)
    for record in unit.rejected {
      let letter = DeadLetter(record, stream: streamName)
      try output.deadLetters?.write(letter.line)
    }
    written = unit
  }

  /// Counts the unit that the sink has passed on, and keeps the checkpoint behind it.
  private mutating func settle() throws {
    guard let unit = written.take() else { return }
    metrics.recordCount.add(unit.records, ordering: .relaxed)
    metrics.badRecordCount.add(unit.rejected.count, ordering: .relaxed)
    metrics.outputByteCount.add(
      (unit.prologue?.count ?? 0) + unit.bytes.count, ordering: .relaxed)
    metrics.count(unit.cuts)
    guard var checkpoint = unit.checkpoint else {
      return metrics.unsettled.store(true, ordering: .relaxed)
    }
    try output.sink.sync()
    try output.deadLetters?.sync()
    checkpoint.output = output.sink.outputPosition
    checkpoint.output?.destination = output.destination
    checkpoint.deadLetters = output.deadLetters?.outputPosition
    try output.keeper?.keep(checkpoint)
    metrics.checkpointCount.add(1, ordering: .relaxed)
    metrics.lastCheckpointTime.store(StreamMetrics.now, ordering: .relaxed)
    metrics.unsettled.store(false, ordering: .relaxed)
    for request in unit.requests { request.answer(.success(())) }
  }

  /// Completes all that was written; all that can fail early does before the output has its name.
  private mutating func finish() throws {
    try output.keeper?.prepare()
    try output.sink.finish()
    try output.deadLetters?.finish()
    try output.keeper?.finish()
  }
}
