internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - A batch is cut by the number of records; for a live source also by time. The division of the bytes into reads has
//   no effect.
// - Whole mini-batches leave before any other item, and before a wait.
// - The stage does not read from the source while a split can continue without more bytes.
// - A barrier leaves only if everything that has left belongs to batches that are cut. It contains the cursors after
//   the last cut.

/// Reads a source, decompresses it, cuts it into records and these into mini-batches. Decides when a checkpoint is
/// taken.
struct IngestStage: Stage {
  private static let readBytes = 128 << 10
  /// A pipe that was empty for so long has nothing more to give for now.
  private static let idleSeconds = 0.01

  /// The phase of the stage.
  private enum Phase {
    case reading
    /// The stream stops, but the source still returns the bytes that it has received.
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
  var rate: RateLimit
  private var phase = Phase.reading
  var idleness = Idleness()
  /// After the last record taken.
  var position = StreamPosition()
  var gradients: GradientIntake?

  /// The times in which the source is empty.
  struct Idleness {
    /// When the source last ran empty; nil since it has given bytes.
    var since: Instant?
    /// Whether anything has left since the last `.idle`.
    var hasEmitted = false
  }

  init(
    _ context: IngestContext, source: any Source, gradients: GradientFeed? = nil,
    pool: BlockPool? = nil
  ) throws(StreamError) {
    self.context = context
    self.gradients = gradients.map { GradientIntake($0, context) }
    self.source = source
    checkpoints = CheckpointPolicy(
      context.schedule, isResumed: context.isResumed, clock: context.clock)
    rate = RateLimit(context.configuration.rate, clock: context.clock)
    batch = OpenBatch(
      Batcher(
        context.configuration.batch, precision: context.options.columns,
        pool: pool))
    // Reports options that no decoder can use, before anything is read.
    _ = try context.makeReader(0, at: SplitStart(name: ""), of: nil)
    splits = OpenSplits(after: source.openSplits.isEmpty ? context.lastCursor : nil)
    for split in source.openSplits { splits.put(try makeReader(split)) }
  }

  private func makeReader(_ split: SplitID) throws(StreamError) -> SplitReader {
    let start = source.start(of: split)
    context.metrics.soughtByteCount.add(
      start.container?.offset ?? start.byteOffset, ordering: .relaxed)
    return try context.makeReader(
      split, at: start, in: source.file(of: split), of: opening ?? context.knownOpening)
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
    if !isOpen, let known = context.knownOpening { try open(known, emit) }
    if case .end = signal, phase == .reading {
      phase = source.drain() ? .draining : .stopping
    }
    if isLookAheadOver { splits.stopLookingAhead() }
    if let cutsAt = batch.cutsAt, context.clock.now() >= cutsAt {
      try cutBatch(byTime: true, emit)
    }
    if !context.inbox.isEmpty { takeRequests(emit) }
    if checkpoints.isDue { try emitBarrier(emit) }
    if phase == .reading, !splits.isEmpty, let seconds = rate.secondsToRecords() {
      return try waitForRate(seconds, emit)
    }
    // Taken out while it works. A reader in two places would copy the data that it changes.
    guard var reader = splits.takeReady() else { return try read(emit) }
    do throws(SplitFailure) {
      while try advance(&reader, emit) {}
    } catch {
      do throws(StreamError) {
        try giveUp(reader, because: error)
      } catch {
        // The next run resumes within the split. If no record was taken, it begins the split again.
        if reader.records > 0 { splits.put(reader) }
        throw error
      }
      return .again
    }
    if reader.isCutOff, reader.needsBytes { endBytes(of: &reader) }
    if reader.isDone { try end(reader) } else { splits.put(consume reader) }
    return .again
  }

  var isOpen: Bool {
    // A comparison would copy the opening first.
    if case nil = opening { false } else { true }
  }

  /// Whether the stream is to be opened by the records that are here: there is no more time, or it stops and
  /// nobody reads them again.
  var isLookAheadOver: Bool {
    guard !isOpen else { return false }
    if phase == .stopping { return source.done == nil }
    return splits.lookAheadEnds.map { context.clock.now() >= $0 } ?? false
  }

  /// Whether the source may still give another split.
  var hasMoreInput: Bool { phase == .reading || phase == .draining }

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
    if phase == .reading, let seconds = rate.secondsToBytes() {
      return try waitForRate(seconds, emit)
    }
    let most = phase == .reading ? rate.bytesNow(most: Self.readBytes) : Self.readBytes
    let event: SourceEvent
    do throws(FileError) {
      event = try source.read(into: bytes.room(exactly: most))
    } catch {
      throw .inputOutput(error)
    }
    switch event {
    case .data(let split, let chunk):
      let count = chunk.byteCount
      idleness.since = nil
      bytes.advance(count)
      context.metrics.inputByteCount.add(count, ordering: .relaxed)
      rate.take(bytes: count)
      var reader: SplitReader
      if let known = splits.take(split) {
        reader = known
        source.settled(split, at: reader.settledSourceOffset)
      } else {
        reader = try makeReader(split)
      }
      reader.append(&bytes)
      if case .message = chunk { reader.endRecord() }
      if !isOpen, splits.lookAheadEnds == nil,
        context.configuration.isLive || context.configuration.cutsByTime
      {
        let seconds = min(context.configuration.batch.maxDelaySeconds, LookAhead.mostSeconds)
        splits.lookAheadEnds = context.clock.now() + seconds
      }
      splits.put(consume reader)
    case .ended(let split): try noMoreBytes(of: split)
    case .gap(let loss): context.warn(loss)
    case .idle(let awaiting): return try wait(awaiting, emit)
    case .end:
      phase = .ended
      // An input without a byte is a split too, unless an earlier process was done with it. Its format decides
      // whether it may be empty.
      if !isOpen, splits.isEmpty, !source.endsAnywhere, source.done?.bytes.isEmpty ?? true {
        splits.put(try makeReader(0))
      }
      for split in splits.ids { try noMoreBytes(of: split) }
    }
    return .again
  }

  private mutating func noMoreBytes(of split: SplitID) throws(StreamError) {
    guard var reader = splits.take(split) else { return }
    if source.endsAnywhere, reader.isLookingAhead {
      reader.stopLookingAhead(isCutOff: true)
    } else {
      endBytes(of: &reader)
    }
    splits.put(reader)
  }

  private mutating func endBytes(of reader: inout SplitReader) {
    guard let torn = reader.end(mayBeTorn: source.endsAnywhere) else { return }
    let fault = RecordFault(expected: "the rest of a record", found: "the end of its producer")
    leaveOut(fault, torn, of: reader, record: reader.records + 1, byteOffset: reader.byteOffset)
  }

  private mutating func waitForRate(
    _ seconds: Double, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) -> Progress {
    context.metrics.rateLimitCount.add(1, ordering: .relaxed)
    return try wait(Awaiting(nil, seconds: seconds), emit)
  }

  /// The number of records that a step may take. A stop takes what was read, whatever the limit is.
  var mostRecords: Int { mutating get { phase == .reading ? rate.recordsNow() : .max } }

  /// Emits the records so far, since there are no more for now, and waits.
  private mutating func wait(
    _ awaiting: Awaiting, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) -> Progress {
    try emitRejected(emit)
    // Only of a live stream, so that other runs over the same input take them at the same batches.
    if context.configuration.isLive { try takeGradients(inTurns: true, emit) }
    // No later run cuts the batches of a live source again, so its blank lines need not wait for a record.
    if context.configuration.isLive, batch.records.isBlank, !batch.records.isInsideUnit {
      try cutBatch(emit)
    }
    emitWhole(emit)
    // If a limit stops the stage within a unit, the rest of the unit follows.
    if isWorthEmitting(), !batch.records.isInsideUnit { emitTail(emit) }
    if checkpoints.isRepeating, hasCaughtUp { checkpoints.caughtUp() }
    checkpoints.lookAtClock()
    if checkpoints.isDue { try emitBarrier(emit) }
    if idleness.hasEmitted {
      emit(.idle)
      idleness.hasEmitted = false
    }
    batch.records.freePool()
    var awaiting = awaiting
    let untilCut = batch.cutsAt.map { $0.seconds(since: context.clock.now()) }
    let untilBarrier = batch.hasLeftWhole ? checkpoints.secondsUntilDue : nil
    let untilTail =
      batch.records.tail > 0
      ? idleness.since.map { ($0 + Self.idleSeconds).seconds(since: context.clock.now()) } : nil
    let untilOpened =
      isLookAheadOver ? nil : splits.lookAheadEnds?.seconds(since: context.clock.now())
    awaiting.seconds = [awaiting.seconds, untilCut, untilBarrier, untilTail, untilOpened]
      .compactMap(\.self)
      .min()
    if context.configuration.isLive, let both = gradients?.wait(or: awaiting) { awaiting = both }
    return .waits(awaiting)
  }

  /// Whether the records at hand of the open batch leave now that the source has nothing more.
  ///
  /// Between two programs a pipe runs empty all the time: there, they leave after a moment.
  private mutating func isWorthEmitting() -> Bool {
    if context.configuration.isLive { return true }
    let now = context.clock.now()
    let since = idleness.since ?? now
    idleness.since = since
    return now >= since + Self.idleSeconds
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
    if !goesOn { try takeGradients(emit) }
    context.inbox.close()
    emitWhole(emit)
    emit(.ended(goesOn: goesOn))
    checkpoints.demand()
    if checkpoints.isDue { try emitBarrier(emit) }
  }
}
