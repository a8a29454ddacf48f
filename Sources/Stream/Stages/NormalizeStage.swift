internal import BatchNormalization
internal import Codecs
internal import Dataflow
internal import Operators
internal import Records
internal import State
internal import Storage

// Invariants:
// - Batches leave in the order in which they came; while some are held, all that follow are too.
// - A checkpoint leaves at a barrier, after every batch before it.

/// Normalises mini-batches, and gathers them into units that are worth a frame of their own.
struct NormalizeStage: Stage {
  /// The most records that warm-up may hold back.
  static let mostHeldRecords = 1 << 20
  /// The most memory that held records may take, in bytes.
  private static let mostHeldBytes = 256 << 20
  /// A unit is sent when it has about as many bytes of text or columns: large enough for a frame to
  /// compress well, small enough to keep every worker busy.
  static let unitBytes = 256 << 10

  private let configuration: StreamConfiguration
  private let initial: InitialState
  private let board: StreamBoard?
  private var startsFromCheckpoint = false
  private var operators: OperatorChain?
  private var units: UnitBuilder
  /// The records of the batch under way that came before its cut: whole, or, where they have left
  /// already, their values alone.
  private var pending: RecordBlock?
  private var pendingHasLeft = false
  private var held: [RecordBlock] = []
  private var heldBytes = 0
  /// After the last record taken.
  private var position: StreamPosition
  /// A barrier that came while records were held: a checkpoint there would lose them.
  private var passedOver: Barrier?
  /// Whether a later run reads again the records after the last checkpoint.
  private var comesAgain = false
  private let clock: Clock
  /// When the step under way began.
  private var now: Instant
  private var lastCut: Instant?
  private var nextShow: Instant
  /// Whether there is something new to show.
  private var hasMoved = false

  /// - Parameters:
  ///   - initial: the state and the place to start from.
  ///   - board: where the state of the features is shown.
  ///   - unitBytes: the bytes after which a unit is sent.
  init(
    _ configuration: StreamConfiguration, from initial: InitialState,
    board: StreamBoard? = nil, unitBytes: Int = unitBytes, clock: Clock = .system
  ) {
    self.clock = clock
    now = clock.now()
    nextShow = now
    self.configuration = configuration
    self.initial = initial
    position = initial.position
    self.board = board
    units = UnitBuilder(precision: configuration.precision, greatestBytes: unitBytes)
  }

  mutating func step(
    _ signal: consuming Signal<IngestedItem>, emit: (consuming RecordUnit) -> Void
  ) throws -> Progress {
    now = clock.now()
    switch consume signal {
    case .element(.opened(let opening)):
      if operators != nil {
        // What was held goes with the columns that it has.
        try releaseHeld()
        units.send(emit)
      }
      try open(opening)
    case .element(.records(var records)):
      switch records.cuts.count {
      case 0: try take(&records, completesBatch: false)
      case 1: try take(&records, completesBatch: true)
      default: try takeBatches(of: &records, emit)
      }
    case .element(.rejected(let records)):
      units.unit.rejected += records
      units.unit.byteCount += records.byteCount
    case .element(.idle):
      show(atOnce: true)
      if !units.unit.isEmpty { units.send(emit) }
    case .element(.request(let request)): try carryOut(request)
    case .element(.barrier(let barrier)): add(barrier)
    case .element(.ended(let goesOn)):
      comesAgain = goesOn
      if !goesOn { try releaseHeld() }
    case .resume: break
    case .end:
      // Held records that come again leave in a later run.
      if !comesAgain { try releaseHeld() }
      // A stream that was stopped before its start was known is an empty one.
      if operators == nil { units.unit.startsStream = true }
      show(atOnce: true)
      units.send(emit)
      return .finished
    }
    units.sendDue(emit)
    return .next
  }

  /// The checkpoint whose moments still stand: its settings made them, and it may only have lent them.
  private var standing: Checkpoint? {
    configuration.normalization.isFrozen && startsFromCheckpoint ? initial.checkpoint : nil
  }

  /// The settings that made the moments; how they are applied is settled anew.
  private var checkpointSettings: [String: String] {
    let settings = configuration.normalization
    guard let standing else { return settings.checkpointSettings }
    let others = standing.settings.filter {
      !NormalizationSettings.transformSettingNames.contains($0.key)
    }
    return others.merging(settings.transformSettings) { _, applied in applied }
  }

  /// Shows what the run starts from, with the features of the checkpoint: those of the stream are known
  /// with its first bytes only, which may be long in coming.
  func showStart() {
    guard let checkpoint = initial.checkpoint, let schema = try? FeatureSchema(checkpoint.features),
      let state = try? startState(for: schema),
      let operators = try? makeOperators(for: schema, state)
    else { return }
    board?.show(operators, position: position)
  }

  /// Begins the stream, or a part of it whose records have other columns.
  private mutating func open(_ opening: StreamOpening) throws(StreamError) {
    do {
      if operators == nil {
        let state = try startState(for: opening.schema)
        startsFromCheckpoint = state != nil
        operators = try makeOperators(for: opening.schema, state)
      }
      units.encoder = try configuration.makeEncoder(for: opening)
    } catch let error as StreamError {
      throw error
    } catch {
      throw .configuration("\(configuration.name): \(error)")
    }
    hasMoved = true
    units.unit.startsStream = true
  }

  /// What the checkpoint lends to a stream of these features; nil where that is nothing.
  private func startState(for schema: FeatureSchema) throws -> StateTable? {
    try initial.checkpoint?.state(for: schema, configuration)
  }

  private func makeOperators(
    for schema: FeatureSchema, _ state: StateTable?
  ) throws -> OperatorChain {
    var operators = try OperatorChain(
      configuration.operators,
      OperatorContext(
        schema: schema, outputPrecision: configuration.precision,
        normalization: configuration.normalization, settings: configuration.operatorSettings),
      state: state)
    if let given = initial.parameters {
      var changed = operators
      try changed.apply(
        StreamUpdate(
          "parameters",
          ParametersBody(weight: given.weight, bias: given.bias, features: given.features)))
      // Those that the state has already are no change.
      if changed.parametersAreOther(than: operators) { operators = changed }
    }
    return operators
  }

  // MARK: Batches

  /// Takes several whole batches: in place where each of them can be sent on as it is.
  private mutating func takeBatches(
    of records: inout RecordBlock, _ emit: (consuming RecordUnit) -> Void
  ) throws(StreamError) {
    var start = BlockOffset()
    // What is normalised and in no unit yet: a unit that held it would make the rest be copied.
    var ready = start
    for index in records.cuts.indices {
      let cut = records.cuts[index]
      if pending == nil, held.isEmpty, operators?.releasesHeld == true {
        position = cut.position
        try normalize(&records, start.records..<cut.end.records)
        units.count(records, start..<cut.end)
        self.cut()
      } else {
        if ready != start { units.add(records, ready..<start) }
        ready = cut.end
        var batch = records.part(start..<cut.end)
        batch.position = cut.position
        try take(&batch, completesBatch: true)
      }
      start = cut.end
      if units.isDue, ready != start {
        units.add(records, ready..<start)
        ready = start
      }
      units.sendDue(emit)
    }
    if ready != start { units.add(records, ready..<start) }
  }

  /// Takes records, which change in place: in two places they would be copied first.
  private mutating func take(
    _ batch: inout RecordBlock, completesBatch: Bool
  ) throws(StreamError) {
    position = batch.position
    if completesBatch, pending == nil {
      try normalize(&batch)
    } else if operators?.emitsBeforeCut == true, held.isEmpty,
      pending == nil || pendingHasLeft
    {
      try passOn(&batch, completesBatch: completesBatch)
    } else {
      gather(batch)
      if completesBatch, var whole = pending.take() { try normalize(&whole) }
    }
    if completesBatch { cut() }
  }

  /// Normalises and emits records before their batch is cut, and keeps their values for its moments.
  private mutating func passOn(
    _ batch: inout RecordBlock, completesBatch: Bool
  ) throws(StreamError) {
    gather(RecordBlock(columns: batch.columns))
    pendingHasLeft = true
    let elapsedSeconds = Self.elapsedSeconds(from: lastCut, to: now)
    do {
      _ = try operators?.operate(on: &batch.columns, as: .part)
      units.append(batch)
      if completesBatch, var whole = pending.take() {
        units.unit.cuts.append(BatchCut(records: whole.columns.count, time: now.nanoseconds))
        _ = try operators?.operate(
          on: &whole.columns, as: .emitted, elapsedSeconds: elapsedSeconds)
      }
    } catch {
      throw refusal(ofRecords: batch.columns.count, error)
    }
  }

  private mutating func gather(_ batch: RecordBlock) {
    if pending == nil {
      pending = RecordBlock(
        columns: FeatureColumns(
          featureCount: batch.columns.featureCount, capacity: configuration.batch.size,
          precision: batch.columns.precision))
      pendingHasLeft = false
    }
    pending?.append(batch)
  }

  private mutating func normalize(_ batch: inout RecordBlock) throws(StreamError) {
    switch try normalize(&batch, 0..<batch.columns.count) {
    case nil: return
    case .normalized: units.append(batch)
    case .passed:
      batch.isPassedThrough = true
      units.append(batch)
    case .held:
      held.append(batch)
      heldBytes += batch.byteCount
      guard heldBytes <= Self.mostHeldBytes else {
        throw .heldTooMany(stream: configuration.name, mostBytes: Self.mostHeldBytes)
      }
    }
    if operators?.releasesHeld == true { try releaseHeld() }
  }

  /// Normalises the batch that some records are.
  @discardableResult
  private mutating func normalize(
    _ batch: inout RecordBlock, _ records: Range<Int>
  ) throws(StreamError) -> BatchEmission? {
    let elapsedSeconds = Self.elapsedSeconds(from: lastCut, to: now)
    let emission: BatchEmission?
    do {
      emission = try operators?.operate(
        on: &batch.columns, records, elapsedSeconds: elapsedSeconds)
    } catch {
      throw refusal(ofRecords: records.count, error)
    }
    if emission != nil, !records.isEmpty {
      units.unit.cuts.append(BatchCut(records: records.count, time: now.nanoseconds))
    }
    return emission
  }

  /// Why the last records before `position` cannot be taken.
  private func refusal(ofRecords count: Int, _ reason: OperatorError) -> StreamError {
    .badNumbers(
      stream: configuration.name,
      records: position.records - count + 1...position.records, reason)
  }

  /// What is done between two batches.
  private mutating func cut() {
    lastCut = now
    hasMoved = true
    show(atOnce: false)
  }

  /// Shows the state, but not so often that copying it costs.
  private mutating func show(atOnce: Bool) {
    guard let board, let operators, hasMoved, atOnce || now >= nextShow else {
      return
    }
    board.show(operators, position: position)
    hasMoved = false
    nextShow = now + 0.1
  }

  /// The time since the cut of the batch before, for a half-life in seconds.
  ///
  /// Not of the stage itself, which would be copied for it.
  private static func elapsedSeconds(from lastCut: Instant?, to now: Instant) -> Double? {
    lastCut.map { now.seconds(since: $0) }
  }

  // MARK: Barriers and requests

  /// Adds the state to a barrier, unless a checkpoint there would lose records.
  private mutating func add(_ barrier: consuming Barrier) {
    if let earlier = passedOver.take() { barrier.replace(earlier) }
    guard let operators, held.isEmpty else {
      for request in barrier.requests {
        request.answer(
          .failure(.unfit("stream '\(configuration.name)' holds records until it is warm")))
      }
      barrier.requests = []
      passedOver = barrier
      return
    }
    var checkpoint = Checkpoint(operators.state, settings: checkpointSettings)
    checkpoint.adoptedBy = standing?.adoptedBy
    barrier.checkpoint = checkpoint
    units.unit.barrier = barrier
  }

  /// Does what an operator asks for, between two batches.
  private mutating func carryOut(_ request: StreamRequest) throws(StreamError) {
    do throws(CommandRefusal) {
      try change(by: request.command)
      request.answer(.success(()))
    } catch {
      request.answer(.failure(error))
    }
    if operators?.releasesHeld == true { try releaseHeld() }
  }

  private mutating func change(by command: StreamCommand) throws(CommandRefusal) {
    guard case .update(let update) = command else { return }
    do throws(OperatorError) {
      try operators?.apply(update)
    } catch {
      throw .refused(error)
    }
    // From here on the run's own settings move the moments.
    if operators?.normalization?.isFrozen == false { startsFromCheckpoint = false }
    // Who has the reply sees the change.
    hasMoved = true
    show(atOnce: true)
  }

  private mutating func releaseHeld() throws(StreamError) {
    for var batch in held {
      do {
        _ = try operators?.operate(on: &batch.columns, as: .part)
      } catch {
        throw refusal(ofRecords: batch.columns.count, error)
      }
      units.append(batch)
    }
    held = []
    heldBytes = 0
  }
}
