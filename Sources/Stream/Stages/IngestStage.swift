internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - A batch is cut by the number of records, or by time if the source is live; never by how the bytes
//   came.
// - Whole mini-batches leave before anything else does, and before a wait.
// - Nothing is read from the source while a split can go on without more bytes.
// - A barrier leaves only while all that has left belongs to batches that are cut. It holds the cursors
//   after the last cut.

/// Reads a source, decompresses it, cuts it into records and these into mini-batches; decides when a
/// checkpoint is taken.
struct IngestStage: Stage {
  private static let readBytes = 128 << 10

  /// How far the stage has come towards its end.
  private enum Phase {
    case reading
    /// The stream stops, but the source gives what was handed over to it.
    case draining
    /// The stream stops at once.
    case stopping
    /// The source has ended.
    case ended
  }

  let context: IngestContext
  var source: any Source
  private var bytes = ByteBuffer(capacity: readBytes)
  var splits = OpenSplits()
  var opening: StreamOpening?
  var batch: OpenBatch
  var checkpoints: CheckpointPolicy
  private var phase = Phase.reading
  /// After the last record taken.
  var position = StreamPosition()
  var hasEmittedSinceIdle = false

  init(_ context: IngestContext, source: any Source, pool: BlockPool? = nil) throws(StreamError) {
    self.context = context
    self.source = source
    checkpoints = CheckpointPolicy(context.schedule, clock: context.clock)
    batch = OpenBatch(
      Batcher(
        batchSize: context.configuration.batch.size, precision: context.options.columns,
        pool: pool))
    // Options that no decoder can work with are told before anything is read.
    _ = try context.makeReader(0, at: SplitStart(name: ""), of: nil)
    splits = OpenSplits(after: source.openSplits.isEmpty ? context.lastCursor : nil)
    for split in source.openSplits { splits.put(try makeReader(split)) }
  }

  private func makeReader(_ split: SplitID) throws(StreamError) -> SplitReader {
    let start = source.start(of: split)
    context.metrics.soughtByteCount.add(
      start.container?.offset ?? start.byteOffset, ordering: .relaxed)
    return try context.makeReader(split, at: start, of: opening ?? context.knownOpening)
  }

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming IngestedItem) -> Void
  ) throws -> Progress {
    do {
      return try work(signal, emit)
    } catch {
      keepWhatPrecedes(error, emit)
      context.inbox.close()
      throw error
    }
  }

  private mutating func work(
    _ signal: Signal<Nothing>, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) -> Progress {
    if opening == nil, let known = context.knownOpening { try open(known, emit) }
    if case .end = signal, phase == .reading {
      phase = source.drain() ? .draining : .stopping
    }
    if let cutsAt = batch.cutsAt, context.clock.now() >= cutsAt { try cutBatch(emit) }
    if !context.inbox.isEmpty { takeRequests(emit) }
    if checkpoints.isDue { try emitBarrier(emit) }
    // Taken out while it works: a reader in two places would copy what it changes.
    guard var reader = splits.takeReady() else { return try read(emit) }
    do throws(SplitFailure) {
      while try advance(&reader, emit) {}
    } catch {
      do throws(StreamError) {
        try giveUp(reader, because: error)
      } catch {
        // The next run goes on within the split. It begins one of which no record was taken.
        if reader.records > 0 { splits.put(reader) }
        throw error
      }
      return .again
    }
    if reader.isDone { try end(reader) } else { splits.put(reader) }
    return .again
  }

  // MARK: Bytes

  private mutating func read(
    _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) -> Progress {
    switch phase {
    case .stopping, .ended:
      try finish(emit)
      return .finished
    case .reading, .draining: break
    }
    let event: SourceEvent
    do throws(FileError) {
      event = try source.read(into: bytes.room(Self.readBytes))
    } catch {
      throw .inputOutput(error)
    }
    switch event {
    case .data(let split, .bytes(let count)):
      bytes.advance(count)
      context.metrics.inputByteCount.add(count, ordering: .relaxed)
      var reader: SplitReader
      if let known = splits.take(split) { reader = known } else { reader = try makeReader(split) }
      reader.append(&bytes)
      splits.put(reader)
    case .ended(let split): try noMoreBytes(of: split)
    case .gap(let loss): context.warn(loss)
    case .idle(let awaiting): return try wait(awaiting, emit)
    case .end:
      phase = .ended
      // An input without a byte is a split too, unless an earlier process was done with it: its format
      // says whether it may be.
      if opening == nil, splits.isEmpty, !source.endsAnywhere, source.done?.bytes.isEmpty ?? true {
        splits.put(try makeReader(0))
      }
      for split in splits.ids { try noMoreBytes(of: split) }
    }
    return .again
  }

  private mutating func noMoreBytes(of split: SplitID) throws(StreamError) {
    guard var reader = splits.take(split) else { return }
    if reader.end(mayBeTorn: source.endsAnywhere) > 0 {
      let fault = RecordFault(expected: "the rest of a record", found: "the end of its producer")
      leaveOut(fault, [], record: reader.records + 1, byteOffset: reader.byteOffset)
    }
    splits.put(reader)
  }

  /// Passes on what is at hand, since nothing more is, and waits.
  private mutating func wait(
    _ awaiting: Awaiting, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) -> Progress {
    try emitRejected(emit)
    emitWhole(emit)
    if context.configuration.isLive { emitTail(emit) }
    checkpoints.lookAtClock()
    if checkpoints.isDue { try emitBarrier(emit) }
    if hasEmittedSinceIdle {
      emit(.idle)
      hasEmittedSinceIdle = false
    }
    batch.records.freePool()
    var awaiting = awaiting
    let untilCut = batch.cutsAt.map { $0.seconds(since: context.clock.now()) }
    let untilBarrier = batch.hasLeftWhole ? checkpoints.secondsUntilDue : nil
    awaiting.seconds = [awaiting.seconds, untilCut, untilBarrier].compactMap(\.self).min()
    return .waits(awaiting)
  }

  /// Cuts the last batch, unless a later run reads its records again and cuts it where it would have been.
  private mutating func finish(
    _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    let goesOn =
      phase == .stopping && source.done != nil && checkpoints.letsRunsGoOn
      && !batch.records.aPartHasLeft
    if !goesOn { try cutBatch(emit) }
    takeRequests(emit)
    context.inbox.close()
    emitWhole(emit)
    emit(.ended(goesOn: goesOn))
    checkpoints.demand()
    if checkpoints.isDue { try emitBarrier(emit) }
  }
}
