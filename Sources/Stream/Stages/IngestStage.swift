internal import Codecs
internal import Configuration
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - A batch is cut by the number of records, or by time where the source is live; never by how the
//   bytes came.
// - Whole mini-batches count as emitted; they leave before anything else does, and before a wait.
// - `current` is the run whose bytes are worked on, apart from the others, `lanes`; nothing is read
//   from the source meanwhile.

/// Reads a source, decompresses it, cuts it into records and these into mini-batcher.
struct IngestStage: Stage {
  private static let readBytes = 128 << 10
  /// The most records, and about the most bytes of them, that are left out before that is told.
  private static let mostRejected = 64
  private static let mostRejectedBytes = 256 << 10

  private let configuration: StreamConfiguration
  private var options: DecoderOptions
  private let format: RecordFormat
  private let metrics: StreamMetrics
  private let clock: Clock
  private var source: any ByteSource
  private var bytes = ByteBuffer(capacity: readBytes)
  private var lanes: [Int: IngestLane] = [:]
  private var current: (run: Int, lane: IngestLane)?
  private var opening: StreamOpening?
  private var batcher: Batcher
  /// When the batch under way is cut at the latest; nil while it is empty.
  private var cutsAt: Instant?
  private var rejected: [RejectedRecord] = []
  private var isStopping = false
  /// Whether the source is read to its end though the stream stops.
  private var isDraining = false
  private var sourceHasEnded = false
  private var hasEmittedSinceIdle = false
  private var position = StreamPosition()
  /// `position`, with what a later source needs to know.
  private var place: StreamPosition {
    var place = position
    place.finishedRuns = finishedRuns
    return place
  }
  /// What the source says of the runs that are done with.
  private var finishedRuns: [String]?
  /// The place of an earlier run to go on from, until its run comes.
  private var resumption: StreamPosition?
  private let isResumed: Bool
  /// The place behind what was emitted.
  private var emittedPosition = StreamPosition()

  init(
    _ configuration: StreamConfiguration, source: any ByteSource, metrics: StreamMetrics,
    resumption: StreamPosition? = nil, pool: BlockPool? = nil, clock: Clock = .system
  ) throws(StreamError) {
    self.resumption = resumption
    isResumed = resumption != nil
    if let resumption { emittedPosition = resumption }
    finishedRuns = source.progress
    self.configuration = configuration
    self.source = source
    self.metrics = metrics
    self.clock = clock
    var options = configuration.decoder
    options.keepsText = configuration.keepsFormat
    let format = configuration.format
    // 4-byte floats that stay so are never widened.
    let staysFloat =
      format.precision(options.settings) == .float32 && configuration.precision == .float32
    options.columns = staysFloat ? .float32 : .float64
    self.options = options
    batcher = Batcher(
      batchSize: configuration.batch.size, precision: options.columns, pool: pool)
    self.format = format
    // Options that no decoder can work with are told before anything is read.
    _ = try makeLane(run: nil)
  }

  private mutating func makeLane(run: Int?) throws(StreamError) -> IngestLane {
    let mark = run.flatMap { source.mark(ofRun: $0) }
    var place: StreamPosition?
    if let mark, resumption?.run == mark { place = resumption.take() }
    do {
      return try IngestLane(
        options, format: format, decompression: configuration.decompression, mark: mark,
        resumption: place)
    } catch {
      throw .configuration("\(error)")
    }
  }

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming IngestedItem) -> Void
  ) throws -> Progress {
    do {
      return try work(signal, emit)
    } catch {
      // What precedes a failure goes its way.
      emitWhole(emit)
      throw error
    }
  }

  private mutating func work(
    _ signal: Signal<Nothing>, _ emit: (consuming IngestedItem) -> Void
  ) throws -> Progress {
    if case .end = signal, !isStopping {
      isStopping = true
      isDraining = source.drain()
    }
    if let cutsAt, clock.now() >= cutsAt { cutBatch(emit) }
    // Taken out while it works: a lane in two places would copy what it changes.
    guard var turn = current.take() ?? readyLane() else { return try read(emit) }
    do throws(LaneFailure) {
      while try advance(&turn.lane, turn.run, emit) {}
    } catch {
      try abandon(turn.run, turn.lane, because: error)
      return .again
    }
    if turn.lane.isDone {
      position = turn.lane.position()
      position.run = nil
      finishedRuns = source.progress
      try finish(turn.lane)
    } else if turn.lane.needsBytes {
      lanes[turn.run] = turn.lane
    } else {
      current = turn
    }
    return .again
  }

  /// A run that can go on without more bytes.
  private mutating func readyLane() -> (run: Int, lane: IngestLane)? {
    guard let run = lanes.first(where: { !$0.value.needsBytes })?.key else { return nil }
    return lanes.removeValue(forKey: run).map { (run, $0) }
  }

  // MARK: Bytes

  private mutating func read(_ emit: (consuming IngestedItem) -> Void) throws -> Progress {
    if isStopping && !isDraining || sourceHasEnded {
      // What is left of a record that was cut off is no record. A batch that is stopped short and can
      // be read again is, so that it is cut where it would have been.
      let goesOn = !sourceHasEnded && finishedRuns != nil && !batcher.aPartHasLeft
      if !goesOn { cutBatch(emit) }
      emitWhole(emit)
      emit(.ended(goesOn ? emittedPosition : place, goesOn: goesOn))
      return .finished
    }
    let read: SourceRead
    do {
      read = try source.read(into: bytes.room(Self.readBytes))
    } catch {
      throw StreamError.inputOutput(error)
    }
    switch read {
    case .bytes(let count, let run):
      bytes.advance(count)
      metrics.inputByteCount.add(count, ordering: .relaxed)
      var lane = try lanes.removeValue(forKey: run) ?? makeLane(run: run)
      lane.append(&bytes)
      current = (run, lane)
    case .ended(let run): end(run)
    case .waits(let awaited): return wait(awaited, emit)
    case .end:
      sourceHasEnded = true
      // An input without a byte is a run too, unless an earlier process was done with it: its format
      // says whether it may be.
      if opening == nil, lanes.isEmpty, !source.endsAnywhere, finishedRuns ?? [] == [] {
        lanes[0] = try makeLane(run: 0)
      }
      for run in lanes.keys.sorted() { end(run) }
    }
    return .again
  }

  private mutating func end(_ run: Int) {
    guard var lane = lanes.removeValue(forKey: run) else { return }
    if lane.end(mayBeTorn: source.endsAnywhere) > 0 {
      let fault = RecordFault(expected: "the rest of a record", found: "the end of its producer")
      leaveOut(fault, [], record: lane.records + 1, byteOffset: lane.byteOffset)
    }
    lanes[run] = lane
  }

  /// Passes on what is at hand, since nothing more is, and waits.
  private mutating func wait(
    _ awaited: Awaiting, _ emit: (consuming IngestedItem) -> Void
  ) -> Progress {
    emitRejected(emit)
    emitWhole(emit)
    if configuration.isLive { emitUnderWay(emit) }
    if hasEmittedSinceIdle {
      emit(.idle)
      hasEmittedSinceIdle = false
    }
    batcher.freePool()
    var awaited = awaited
    let untilCut = cutsAt.map { $0.seconds(since: clock.now()) }
    awaited.seconds = [awaited.seconds, untilCut].compactMap(\.self).min()
    return .waits(awaited)
  }

  // MARK: Records

  /// Why a run cannot go on.
  private enum LaneFailure: Error {
    /// Its bytes are not what they should be.
    case unreadable(String)
    /// The end of a record cannot be found; so many bytes precede it that were not taken.
    case badRecord(RecordFault, at: Int)
    case stream(StreamError)
  }

  /// Takes one bounded step with a run.
  ///
  /// - Returns: whether it took a batch so small that the next goes with it, which costs less at once.
  private mutating func advance(
    _ lane: inout IngestLane, _ run: Int, _ emit: (consuming IngestedItem) -> Void
  ) throws(LaneFailure) -> Bool {
    guard !lane.isTorn else { return false }
    guard lane.opening != nil else {
      let found: StreamOpening?
      do {
        found = try lane.open()
      } catch {
        guard let offset = error.offset else { throw .unreadable("\(error)") }
        throw .badRecord(error, at: offset)
      }
      guard let found else {
        try fill(&lane)
        return false
      }
      position = lane.position()
      try accept(found, emit)
      return false
    }
    if lane.isResuming {
      do {
        try lane.resume(run, of: &source, stream: configuration.name, metrics)
      } catch {
        throw .stream(error)
      }
      guard !lane.needsBytes else { return false }
    }
    let (outcome, bytes, isInsideUnit) = batcher.add { lane.decode(into: &$0, limit: $1) }
    batcher.isInsideUnit = isInsideUnit
    if cutsAt == nil, configuration.isLive, batcher.tail > 0 {
      cutsAt = clock.now() + configuration.batch.maxDelaySeconds
    }
    position = lane.position()
    if batcher.byteCount > configuration.batch.maxBytes {
      // Those before the one under way do not count.
      emitWhole(emit)
      guard batcher.byteCount <= configuration.batch.maxBytes else {
        throw .stream(batchTooLarge)
      }
    }
    switch outcome {
    case .limitReached:
      guard batcher.isFull else { return false }
      cutBatch(emit)
      return batcher.hasWhole
    case .unitEnded:
      guard batcher.endUnit() else { return false }
      cutBatch(emit)
      return batcher.hasWhole
    case .rejected(let fault, _): try reject(fault, bytes, lane, emit)
    case .failed(let fault): throw .badRecord(fault, at: 0)
    case .needsInput: if !lane.isDone { try fill(&lane) }
    }
    return false
  }

  private func fill(_ lane: inout IngestLane) throws(LaneFailure) {
    do {
      try lane.fill()
    } catch {
      guard !lane.isResuming else {
        throw .stream(.inputChanged(stream: configuration.name, "\(error)"))
      }
      throw .unreadable("\(error)")
    }
    if let fault = lane.growthFault { throw .badRecord(fault, at: 0) }
  }

  /// Takes the start of the first run as that of the stream; those of the others must be the same.
  private mutating func accept(
    _ found: StreamOpening, _ emit: (consuming IngestedItem) -> Void
  ) throws(LaneFailure) {
    guard let opening else {
      let cells = found.schema.count.multipliedReportingOverflow(by: configuration.batch.size)
      guard !cells.overflow,
        cells.partialValue <= configuration.batch.maxBytes / options.columns.byteCount
      else { throw .stream(batchTooLarge) }
      opening = found
      batcher.featureCount = found.schema.count
      // What the first run showed to be features are features in the others, whatever they show.
      options.features = found.schema.names.map { FeaturePattern($0) }
      if !isResumed { emittedPosition = place }
      emit(.opened(found, at: isResumed ? nil : place))
      hasEmittedSinceIdle = true
      return
    }
    guard found == opening else {
      throw .unreadable(
        "expected the header and the features that the stream began with, found others")
    }
  }

  private mutating func reject(
    _ fault: RecordFault, _ bytes: [UInt8], _ lane: IngestLane,
    _ emit: (consuming IngestedItem) -> Void
  ) throws(LaneFailure) {
    let offset = lane.byteOffset - bytes.count
    guard configuration.badRecords != .fail else {
      throw .stream(
        .badRecord(
          stream: configuration.name, record: lane.records, byteOffset: offset, fault: fault))
    }
    leaveOut(fault, bytes, record: lane.records, byteOffset: offset)
    // A run of bad records must not pile up while the batch waits for good ones.
    if rejected.count >= Self.mostRejected || rejected.byteCount >= Self.mostRejectedBytes {
      emitRejected(emit)
    }
  }

  private mutating func leaveOut(
    _ fault: RecordFault, _ bytes: [UInt8], record: Int, byteOffset: Int
  ) {
    let keptBytes = configuration.badRecords == .deadLetter ? bytes : []
    rejected.append(
      RejectedRecord(record: record, byteOffset: byteOffset, fault: fault, bytes: keptBytes))
  }

  /// Gives up a run that cannot go on: the stream with it, unless runs may end anywhere.
  private mutating func abandon(
    _ run: Int, _ lane: IngestLane, because failure: LaneFailure
  ) throws(StreamError) {
    let fault: RecordFault
    var byteOffset = lane.byteOffset
    switch failure {
    case .stream(let error): throw error
    case .unreadable(let reason):
      guard source.endsAnywhere else {
        throw .badInput(stream: configuration.name, reason)
      }
      fault = RecordFault(
        expected: "a stream that can be read", found: "one that cannot: \(reason)")
    case .badRecord(let found, let offset):
      byteOffset += offset
      guard source.endsAnywhere else {
        throw .badRecord(
          stream: configuration.name, record: lane.records + 1, byteOffset: byteOffset,
          fault: found)
      }
      fault = found
    }
    source.abandon(run: run)
    finishedRuns = source.progress
    leaveOut(fault, [], record: lane.records + 1, byteOffset: byteOffset)
  }

  private func finish(_ lane: IngestLane) throws(StreamError) {
    // Of a stream in many runs, each alone need not hold every feature.
    guard !configuration.isLive, !lane.isTorn else { return }
    do {
      try lane.finish()
    } catch {
      throw .badInput(stream: configuration.name, "\(error)")
    }
  }

  // MARK: Batches

  /// Cuts the batch under way, if there is anything of it.
  private mutating func cutBatch(_ emit: (consuming IngestedItem) -> Void) {
    emitRejected(emit)
    guard !batcher.isBetweenBatches else { return }
    count(batcher.tail)
    batcher.cut(at: place)
    emittedPosition = place
    cutsAt = nil
    if batcher.isWorthPassingOn { emitWhole(emit) }
  }

  private mutating func emitWhole(_ emit: (consuming IngestedItem) -> Void) {
    guard let whole = batcher.takeWhole() else { return }
    hasEmittedSinceIdle = true
    emit(.records(consume whole))
  }

  /// Emits what is at hand of the batch under way, which goes on.
  private mutating func emitUnderWay(_ emit: (consuming IngestedItem) -> Void) {
    guard let records = batcher.takeTail(endingAt: place) else { return }
    count(records.columns.count)
    emittedPosition = place
    hasEmittedSinceIdle = true
    emit(.records(consume records))
  }

  private func count(_ records: Int) {
    guard records > 0 else { return }
    metrics.ingestedRecordCount.add(records, ordering: .relaxed)
    metrics.lastRecordTime.store(StreamMetrics.now, ordering: .relaxed)
  }

  private mutating func emitRejected(_ emit: (consuming IngestedItem) -> Void) {
    guard !rejected.isEmpty else { return }
    if batcher.isBetweenBatches { emittedPosition = place }
    emitWhole(emit)
    emit(.rejected(rejected, end: batcher.isBetweenBatches ? place : nil))
    rejected = []
    hasEmittedSinceIdle = true
  }

  private var batchTooLarge: StreamError {
    .configuration(
      "\(configuration.name): expected a batch of at most \(configuration.batch.maxBytes) bytes, "
        + "found a larger one: lower the batch size (\(configuration.batch.size) records)")
  }
}
