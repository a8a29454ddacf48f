internal import BatchNormalization
internal import Codecs
internal import Dataflow
internal import Operators
internal import Records
internal import State
internal import Storage

// Invariants:
// - Records leave in the order in which they came. While batches are held, all later ones are held too.
// - A checkpoint leaves at a barrier, after every batch before it.

/// Lets the operators of a stream plan and commit each mini-batch, and gathers the records in units of the size of a
/// frame.
struct OperateStage: Stage {
  /// The approximate bytes of text or columns at which a unit leaves. A frame of this size compresses well, and all
  /// workers are busy.
  static let unitBytes = 256 << 10

  let configuration: StreamConfiguration
  let initial: InitialState
  /// Nil until the columns of the stream are known.
  var operators: OperatorChain?
  var checkpoints: CheckpointMaker
  var units: UnitBuilder
  var open = OpenRecords.none
  private var held = HeldBatches()
  /// The position after the last record taken.
  private(set) var position: StreamPosition
  /// Whether a later run reads the records after the last checkpoint again.
  private var comesAgain = false
  var times: BatchTimes
  var display: StateDisplay
  /// The clients that look at the records; nil if there can be none.
  let taps: StreamTaps?

  /// - Parameters:
  ///   - initial: the state to start from.
  ///   - snapshot: shows the state of the features.
  ///   - unitBytes: the number of bytes at which a unit leaves.
  ///   - leastDeltaBytes: the memory of keys from which on checkpoints may be deltas.
  init(
    _ configuration: StreamConfiguration, from initial: InitialState,
    snapshot: StreamSnapshot? = nil, taps: StreamTaps? = nil, unitBytes: Int = unitBytes,
    leastDeltaBytes: Int = CheckpointMaker.leastDeltaBytes, clock: Clock = .system
  ) {
    checkpoints = CheckpointMaker(control: initial.control, leastDeltaBytes: leastDeltaBytes)
    self.taps = taps
    self.configuration = configuration
    self.initial = initial
    position = initial.position
    units = UnitBuilder(precision: configuration.precision, greatestBytes: unitBytes)
    times = BatchTimes(clock)
    display = StateDisplay(snapshot)
  }

  mutating func step(
    _ signal: consuming Signal<IngestedItem>, emit: (consuming OutputUnit) -> Void
  ) throws -> Progress {
    times.beginStep()
    switch consume signal {
    case .element(.opened(let opening)): try begin(opening, emit)
    case .element(.records(var block)): try operate(on: &block, emit)
    case .element(.begun(let split)): units.unit.begun.append(split)
    case .element(.rejected(let records)): drop(records)
    case .element(.idle):
      show(atOnce: true)
      if !units.unit.isEmpty { units.send(emit) }
    case .element(.requests(let requests)): try carryOut(requests)
    case .element(.barrier(let barrier)): add(barrier)
    case .element(.ended(let goesOn)):
      comesAgain = goesOn
      if !goesOn { try releaseHeld() }
    case .resume: break
    case .end:
      // If held records are read again, a later run emits them.
      if !comesAgain { try releaseHeld() }
      // If a stream was stopped before its start was known, its output is that of an empty stream.
      if operators == nil { units.unit.startsStream = true }
      show(atOnce: true)
      units.send(emit)
      return .finished
    }
    units.sendDue(emit)
    return .next
  }

  // MARK: Opening

  /// Shows the state from which the run starts, with the features of the checkpoint. The features of the stream are
  /// only known with its first bytes, which may come much later.
  func showStart() {
    display.snapshot?.show(control: checkpoints.control?.made ?? [:])
    guard let state = initial.checkpoint?.state,
      let start = try? initial.open(configuration, for: state.features)
    else { return }
    display.snapshot?.show(start.operators, position: position)
  }

  /// Begins the stream, or a part of it with other columns.
  private mutating func begin(
    _ opening: StreamOpening, _ emit: (consuming OutputUnit) -> Void
  ) throws(StreamError) {
    if operators == nil {
      let start = try initial.open(configuration, for: opening.schema)
      (operators, checkpoints.origin) = (start.operators, start.origin)
      // A later one has the view, γ, β and the changes by users in its state.
      if initial.checkpoint == nil { lookAtPeers() }
      units.add([.opened(opening)])
    } else {
      // Held records leave with their own columns.
      try releaseHeld()
      units.send(emit)
    }
    do throws(FormatError) {
      units.encoder = try configuration.makeEncoder(for: opening)
    } catch {
      throw .format(stream: configuration.name, error)
    }
    display.hasChanged = true
    units.unit.startsStream = true
  }

  // MARK: Batches

  /// The next step for a piece of a block.
  private enum Fate {
    /// It was transformed in place, and leaves with the block.
    case ready
    /// The operators want it held, or emitted apart from the block because not all of it is normalised.
    case apart(BatchEmission)
    /// It waits for the cut of its batch.
    case gathered
  }

  /// Operates on the pieces of a block one after another: a whole batch, the rest of one, or a segment of an open
  /// one.
  ///
  /// Adds the pieces to a unit together, as late as possible. If a unit held a part of the block earlier, the next
  /// change would copy the rest.
  private mutating func operate(
    on block: inout RecordBlock, _ emit: (consuming OutputUnit) -> Void
  ) throws(StreamError) {
    var ready = BlockOffset()..<BlockOffset()
    var start = BlockOffset()
    for index in 0...block.cuts.count {
      let isCut = index < block.cuts.count
      guard isCut || block.hasTail else { break }
      var piece = start..<(isCut ? block.cuts[index].end : block.end)
      position = isCut ? block.cuts[index].position : block.position
      let fate = try fate(of: &piece, in: &block, isCut: isCut)
      start = piece.upperBound
      switch fate {
      case .ready where block.seams.isEmpty || piece != block.all:
        units.count(block, piece)
        ready = ready.lowerBound..<piece.upperBound
      case .ready: units.append(block)
      case .apart(let emission):
        units.add(block, ready)
        ready = start..<start
        try take(copy(of: piece, in: block), emission)
      case .gathered:
        units.add(block, ready)
        ready = start..<start
        open.gather(copy(of: piece, in: block), capacity: configuration.batch.size)
        if isCut, var whole = open.takeGathered() {
          let emission = try operate(on: &whole, as: .whole)
          try take(whole, emission)
        }
      }
      if isCut { cut() }
      if units.isDue {
        units.add(block, ready)
        ready = start..<start
      }
      units.sendDue(emit)
    }
    units.add(block, ready)
  }

  private mutating func fate(
    of piece: inout Range<BlockOffset>, in block: inout RecordBlock, isCut: Bool
  ) throws(StreamError) -> Fate {
    switch open {
    case .gathered: return .gathered
    case .none where isCut:
      let emission = try operate(on: &block, &piece, as: .whole)
      return emission == .normalized ? .ready : .apart(emission)
    case .none:
      guard held.isEmpty, operators?.emitsBeforeCut == true else { return .gathered }
    case .emitted: break
    }
    let emission = try operate(on: &block, &piece, as: .part)
    if isCut, var values = open.takeValues() { _ = try operate(on: &values, as: .emitted) }
    return emission == .normalized ? .ready : .apart(emission)
  }

  /// A copy of a piece of a block.
  private func copy(of piece: Range<BlockOffset>, in block: RecordBlock) -> RecordBlock {
    var copy = piece == block.all ? block : block.part(piece)
    copy.position = position
    if let mark = block.versionMarks(of: piece.lowerBound.records..<piece.upperBound.records).first
    {
      copy.mark(mark.versions, from: 0)
    }
    return copy
  }

  /// Emits a batch, or holds it.
  private mutating func take(
    _ batch: consuming RecordBlock, _ emission: BatchEmission
  ) throws(StreamError) {
    switch emission {
    case .normalized: units.append(batch)
    case .partly(let unnormalized):
      batch.unnormalized = unnormalized
      units.append(batch)
    case .held:
      held.append(batch)
      guard held.byteCount <= HeldBatches.mostBytes else {
        throw .heldTooMany(stream: configuration.name, mostBytes: HeldBatches.mostBytes)
      }
    }
    if operators?.releasesHeld == true { try releaseHeld() }
  }

  mutating func releaseHeld() throws(StreamError) {
    for var batch in held.takeAll() {
      position = batch.position
      _ = try operate(on: &batch, as: .held)
      units.append(batch)
    }
  }

  /// Lets the operators work on some records of a block (all by default), and adds their events to the unit.
  mutating func operate(
    on columns: inout FeatureColumns, _ records: Range<Int>? = nil, as role: BatchRole
  ) throws(StreamError) -> BatchEmission {
    let count = records?.count ?? columns.count
    let elapsedSeconds = times.secondsSinceCut
    var emission = BatchEmission.normalized
    do throws(OperatorError) {
      if let decided = try operators?.operate(
        on: &columns, records, as: role, elapsedSeconds: elapsedSeconds)
      {
        emission = decided
      }
    } catch {
      throw .badNumbers(
        stream: configuration.name,
        records: position.records - max(count, 1) + 1...position.records, error)
    }
    if role.updates, count > 0 {
      units.unit.cuts.append(BatchCut(records: count, time: times.now.nanoseconds))
    }
    if operators?.events.isEmpty == false { addEvents() }
    return emission
  }

  mutating func addEvents() {
    units.add((operators?.takeEvents() ?? []).map(StreamEvent.raised))
  }

  /// Records the end of a batch.
  private mutating func cut() {
    times.cut()
    if let onCut = configuration.onCut, let operators { onCut(operators.view) }
    display.hasChanged = true
    show(atOnce: false)
  }

  mutating func show(atOnce: Bool) {
    guard let operators else { return }
    display.show(operators, position: position, at: times.now, atOnce: atOnce)
  }

  // MARK: Barriers

  /// Adds the state to a barrier. While batches are held, the barrier waits, because a checkpoint would lose them.
  private mutating func add(_ barrier: consuming Barrier) {
    held.merge(into: &barrier)
    guard let operators, held.isEmpty else {
      let reason = "stream '\(configuration.name)' holds records until it is warm"
      for request in barrier.requests { request.answer(.failure(.unfit(reason))) }
      barrier.requests = []
      held.barrier = barrier
      return
    }
    if !barrier.isRepeating { lookAtPeers() }
    barrier.checkpoint = checkpoints.next(of: self.operators ?? operators, configuration)
    self.operators?.startKeyChanges()
    units.unit.barrier = barrier
  }
}
