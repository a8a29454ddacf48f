internal import Connectors
internal import Dataflow
internal import Storage
internal import Synchronization

/// Writes encoded units to the sink, rejected records to the dead letters, and the checkpoint once
/// all that it knows of is written.
struct EmitStage: Stage {
  private let streamName: String
  private let metrics: StreamMetrics
  private let checkpointFile: AtomicFile?
  private var sink: any ByteSink
  private var deadLetters: (any ByteSink)?
  private var checkpoint: Checkpoint?

  init(
    streamName: String, sink: any ByteSink, deadLetters: (any ByteSink)?,
    checkpointFile: AtomicFile?, metrics: StreamMetrics
  ) {
    self.streamName = streamName
    self.sink = sink
    self.deadLetters = deadLetters
    self.checkpointFile = checkpointFile
    self.metrics = metrics
  }

  mutating func step(
    _ signal: Signal<EncodedUnit>, emit: (consuming Nothing) -> Void
  ) throws -> Progress {
    do {
      switch signal {
      case .element(let unit): try write(unit)
      case .resume: break
      case .end:
        try finish()
        return .finished
      }
      return .next
    } catch let error as FileError {
      throw StreamError.inputOutput(error)
    }
  }

  private mutating func write(_ unit: EncodedUnit) throws(FileError) {
    try sink.write(unit.bytes)
    for record in unit.rejected {
      let letter = DeadLetter(record, stream: streamName)
      try deadLetters?.write(letter.line)
    }
    checkpoint = unit.checkpoint
    metrics.recordCount.add(unit.records, ordering: .relaxed)
    metrics.batchCount.add(unit.batches, ordering: .relaxed)
    metrics.badRecordCount.add(unit.rejected.count, ordering: .relaxed)
    metrics.outputByteCount.add(unit.bytes.count, ordering: .relaxed)
  }

  /// Completes all that was written; all that can fail early does before the output has its name.
  private mutating func finish() throws {
    if let checkpoint, let checkpointFile {
      let bytes: [UInt8]
      do {
        bytes = try checkpoint.serialized()
      } catch {
        throw StreamError(.content(path: checkpointFile.path, error))
      }
      try checkpointFile.write(bytes)
    }
    try sink.finish()
    try deadLetters?.finish()
    if checkpoint != nil { try checkpointFile?.commit() }
  }
}
