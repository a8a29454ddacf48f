internal import BatchNormalization
internal import Codecs
internal import Dataflow
internal import Dispatch
internal import Records
internal import State
internal import Storage

// Invariants:
// - Batches leave in the order in which they came; while some are held, all that follow are too.
// - A checkpoint leaves between two batches, behind every batch that it knows of.

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
  private let checkpoints: CheckpointSchedule?
  private let board: StreamBoard?
  private var startsFromCheckpoint = false
  private var normalizer: Normalizer?
  private var units: UnitBuilder
  /// The records of the batch under way that came before its cut: whole, or, where they have left
  /// already, their values alone.
  private var pending: RecordBlock?
  private var pendingHasLeft = false
  /// What is to be done once the batch under way is cut.
  private var requests: [StreamRequest] = []
  private var held: [RecordBlock] = []
  private var heldBytes = 0
  private var position: StreamPosition
  /// Whether bad records have left that stand behind `position`.
  private var isAheadOfPosition = false
  /// Whether a later run reads again what stands behind `position`.
  private var comesAgain = false
  private var batchesSinceCheckpoint = 0
  /// When the step under way began.
  private var now = DispatchTime.now()
  private var lastCheckpoint = DispatchTime.now()
  private var lastCut: DispatchTime?
  private var nextShow = DispatchTime.now()
  /// Whether there is something new to show.
  private var hasMoved = false

  /// - Parameters:
  ///   - initial: the state and the place to start from.
  ///   - checkpoints: when the state is sent to be kept; nil is never.
  ///   - board: where the state of the features is shown.
  ///   - unitBytes: the bytes after which a unit is sent.
  init(
    _ configuration: StreamConfiguration, from initial: InitialState,
    checkpoints: CheckpointSchedule?, board: StreamBoard? = nil,
    unitBytes: Int = unitBytes
  ) {
    self.configuration = configuration
    self.initial = initial
    position = initial.resumption ?? StreamPosition()
    self.checkpoints = checkpoints
    self.board = board
    units = UnitBuilder(precision: configuration.precision, greatestBytes: unitBytes)
  }

  mutating func step(
    _ signal: consuming Signal<IngestedItem>, emit: (consuming RecordUnit) -> Void
  ) throws -> Progress {
    now = .now()
    switch consume signal {
    case .element(.opened(let opening, let start)):
      try open(opening)
      if let start { keepStart(start) }
      try carryOutRequests()
    case .element(.records(var records)):
      switch records.cuts.count {
      case 0: try take(&records, completesBatch: false)
      case 1: try take(&records, completesBatch: true)
      default: try takeBatches(of: &records, emit)
      }
    case .element(.rejected(let records, let end)):
      units.unit.rejected += records
      units.unit.byteCount += records.byteCount
      if let end { position = end }
      isAheadOfPosition = end == nil
    case .element(.idle):
      show(atOnce: true)
      if !units.unit.isEmpty { units.send(emit) }
    case .element(.request(let request)):
      requests.append(request)
      try carryOutRequests()
    case .element(.ended(let end, let goesOn)):
      position = end
      comesAgain = goesOn
      isAheadOfPosition = isAheadOfPosition && goesOn
    case .resume: break
    case .end:
      try finish()
      show(atOnce: true)
      units.send(emit)
      return .finished
    }
    units.sendDue(emit)
    return .next
  }

  private mutating func finish() throws(StreamError) {
    if comesAgain, !held.isEmpty || isAheadOfPosition {
      // A later run takes back what has left since the last checkpoint, and does it as if none had.
      held = []
      return
    }
    try releaseHeld()
    // A stream that was stopped before its start was known is an empty one.
    if normalizer == nil { units.unit.startsStream = true }
    try carryOutRequests()
    if checkpoints != nil { keepCheckpoint() }
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
      let normalizer = try? makeNormalizer(for: schema, state)
    else { return }
    board?.show(normalizer, position: position)
  }

  private mutating func open(_ opening: StreamOpening) throws(StreamError) {
    do {
      let state = try startState(for: opening.schema)
      startsFromCheckpoint = state != nil
      normalizer = try makeNormalizer(for: opening.schema, state)
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

  private func makeNormalizer(
    for schema: FeatureSchema, _ state: StateTable?
  ) throws -> Normalizer {
    var normalizer = try Normalizer(
      schema: schema, settings: configuration.normalization,
      outputPrecision: configuration.precision, state: state)
    if let parameters = initial.parameters {
      let arranged = try parameters.arranged(for: schema.names)
      try normalizer.replaceParameters(
        AffineParameters(weight: arranged.weight, bias: arranged.bias))
    }
    return normalizer
  }

  /// Keeps the state before the first record of a source that can give it again: whatever a run that
  /// crashes before the next checkpoint has written stands behind a known place.
  private mutating func keepStart(_ start: StreamPosition) {
    position = start
    if checkpoints != nil, start.finishedRuns != nil { keepCheckpoint() }
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
      if pending == nil, held.isEmpty, normalizer?.isWarm == true {
        position = cut.position
        isAheadOfPosition = false
        try normalize(&records, start.records..<cut.end.records)
        units.count(records, start..<cut.end)
        try self.cut()
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
    isAheadOfPosition = false
    if completesBatch, pending == nil {
      try normalize(&batch)
    } else if normalizer?.emitsBeforeCut == true, held.isEmpty,
      pending == nil || pendingHasLeft
    {
      try passOn(&batch, completesBatch: completesBatch)
    } else {
      gather(batch)
      if completesBatch, var whole = pending.take() { try normalize(&whole) }
    }
    if completesBatch { try cut() }
  }

  /// Normalises and emits records before their batch is cut, and keeps their values for its moments.
  private mutating func passOn(
    _ batch: inout RecordBlock, completesBatch: Bool
  ) throws(StreamError) {
    gather(RecordBlock(columns: batch.columns))
    pendingHasLeft = true
    let elapsedSeconds = Self.elapsedSeconds(from: lastCut, to: now)
    do {
      try normalizer?.normalizeHeld(&batch.columns)
      units.append(batch)
      if completesBatch, let whole = pending.take() {
        units.unit.cuts.append(BatchCut(records: whole.columns.count, time: now.uptimeNanoseconds))
        try normalizer?.absorb(whole.columns, elapsedSeconds: elapsedSeconds)
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
        throw .badInput(
          stream: configuration.name,
          "warm-up: expected to hold at most \(Self.mostHeldBytes) bytes, found more: "
            + "ask for fewer warm-up batches")
      }
    }
    if normalizer?.isWarm == true { try releaseHeld() }
  }

  /// Normalises the batch that some records are.
  @discardableResult
  private mutating func normalize(
    _ batch: inout RecordBlock, _ records: Range<Int>
  ) throws(StreamError) -> BatchEmission? {
    let elapsedSeconds = Self.elapsedSeconds(from: lastCut, to: now)
    let emission: BatchEmission?
    do {
      emission = try normalizer?.normalize(
        &batch.columns, records: records, elapsedSeconds: elapsedSeconds)
    } catch {
      throw refusal(ofRecords: records.count, error)
    }
    if emission != nil, !records.isEmpty {
      units.unit.cuts.append(BatchCut(records: records.count, time: now.uptimeNanoseconds))
    }
    return emission
  }

  /// Why the last records before `position` cannot be taken.
  private func refusal(ofRecords count: Int, _ reason: NormalizationError) -> StreamError {
    .badInput(
      stream: configuration.name,
      "records \(grouped(position.records - count + 1)) to \(grouped(position.records)): "
        + "\(reason)")
  }

  /// What is done between two batches.
  private mutating func cut() throws(StreamError) {
    lastCut = now
    hasMoved = true
    batchesSinceCheckpoint += 1
    try carryOutRequests()
    // Records that are held back would be lost with a restart behind them.
    if held.isEmpty, let checkpoints,
      checkpoints.isDue(after: batchesSinceCheckpoint, since: lastCheckpoint)
    {
      keepCheckpoint()
    }
    show(atOnce: false)
  }

  /// Shows the state, but not so often that copying it costs.
  private mutating func show(atOnce: Bool) {
    guard let board, let normalizer, hasMoved, atOnce || now >= nextShow else {
      return
    }
    board.show(normalizer, position: position)
    hasMoved = false
    nextShow = now + 0.1
  }

  /// The time since the cut of the batch before, for a half-life in seconds.
  ///
  /// Not of the stage itself, which would be copied for it.
  private static func elapsedSeconds(from lastCut: DispatchTime?, to now: DispatchTime) -> Double? {
    guard let lastCut else { return nil }
    return Double(now.uptimeNanoseconds - lastCut.uptimeNanoseconds) / 1e9
  }

  private mutating func keepCheckpoint() {
    guard let normalizer else { return }
    var checkpoint = Checkpoint(normalizer.state, settings: checkpointSettings)
    checkpoint.position = position
    checkpoint.adoptedBy = standing?.adoptedBy
    units.unit.checkpoint = checkpoint
    batchesSinceCheckpoint = 0
    lastCheckpoint = now
  }

  // MARK: Requests

  /// Carries out what operators asked for, unless a batch is under way, or a part of it that was left
  /// out, or the stream has not begun.
  private mutating func carryOutRequests() throws(StreamError) {
    guard !requests.isEmpty, normalizer != nil, pending == nil, !isAheadOfPosition else { return }
    let due = requests
    requests = []
    for request in due {
      do throws(CommandRefusal) {
        try carryOut(request)
      } catch {
        request.answer(.failure(error))
      }
    }
    if normalizer?.isWarm == true { try releaseHeld() }
  }

  private mutating func carryOut(_ request: StreamRequest) throws(CommandRefusal) {
    guard var changed = normalizer else { return }
    var settings = changed.settings
    do {
      switch request.command {
      case .freeze: settings.isFrozen = true
      case .thaw:
        settings.isFrozen = false
        // From here on these settings move them.
        startsFromCheckpoint = false
      case .reset: changed.resetMoments()
      case .mode(let mode):
        settings.mode = mode
        settings.updateFirst = settings.updateFirst && mode == .running
      case .parameters(let weight, let bias, let features):
        let given = try AffineParameters(weight: weight, bias: bias)
        let arranged = try Parameters(
          features: features, weight: given.weight, bias: given.bias
        ).arranged(for: changed.schema.names)
        try changed.replaceParameters(
          AffineParameters(weight: arranged.weight, bias: arranged.bias))
      case .checkpoint:
        guard checkpoints != nil else {
          throw CommandRefusal.unfit("stream '\(configuration.name)' keeps no checkpoints")
        }
        guard held.isEmpty else {
          throw CommandRefusal.unfit(
            "stream '\(configuration.name)' holds records until it is warm")
        }
        keepCheckpoint()
        // The reply comes when the file is written.
        units.unit.requests.append(request)
        return
      }
      try changed.replaceSettings(settings)
    } catch let refusal as CommandRefusal {
      throw refusal
    } catch {
      throw .unfit("\(error)")
    }
    let changesState = changed.state != normalizer?.state
    normalizer = changed
    // What is no work of records would not come again with them.
    if changesState, checkpoints != nil, held.isEmpty { keepCheckpoint() }
    // Who has the reply sees the change.
    hasMoved = true
    show(atOnce: true)
    request.answer(.success(()))
  }

  private mutating func releaseHeld() throws(StreamError) {
    for var batch in held {
      do {
        try normalizer?.normalizeHeld(&batch.columns)
      } catch {
        throw .badInput(stream: configuration.name, "\(error)")
      }
      units.append(batch)
    }
    held = []
    heldBytes = 0
  }
}
