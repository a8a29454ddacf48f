internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

/// Cuts batches, and emits them and the items between two of them.
extension IngestStage {
  /// Cuts the open batch, if it is not empty. The reader that is taken out must be settled.
  ///
  /// - Parameter byTime: whether the number of records does not decide.
  mutating func cutBatch(
    byTime: Bool = false, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    try emitRejected(emit)
    guard !batch.records.isBetweenBatches else { return }
    count(batch.records.tail)
    if !batch.records.isBlank { gradients?.feed.batchCut() }
    batch.cut(at: position)
    if !batch.records.isInsideUnit { try settle() }
    if batch.isBetweenUnits, let prologue = batch.prologue { opening?.prologue = prologue }
    checkpoints.batchCut(byTime: byTime)
    if batch.records.isWorthPassingOn { emitWhole(emit) }
    try takeGradients(emit)
  }

  mutating func emitWhole(_ emit: (consuming IngestedItem) -> Void) {
    guard let whole = batch.records.takeWhole() else { return }
    idleness.hasEmitted = true
    emit(.records(consume whole))
  }

  /// Emits the records so far of the open batch, which continues.
  mutating func emitTail(_ emit: (consuming IngestedItem) -> Void) {
    guard let records = batch.records.takeTail(endingAt: position) else { return }
    count(records.columns.count)
    checkpoints.left()
    idleness.hasEmitted = true
    emit(.records(consume records))
  }

  mutating func count(_ records: Int) {
    guard records > 0 else { return }
    checkpoints.count(records)
    context.metrics.ingestedRecordCount.add(records, ordering: .relaxed)
    context.metrics.lastRecordTime.store(context.metrics.now, ordering: .relaxed)
  }

  mutating func emitRejected(
    _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    guard !batch.rejected.isEmpty else { return }
    if batch.isBetweenUnits { try settle() }
    emitWhole(emit)
    emit(.rejected(batch.takeRejected()))
    checkpoints.left()
    idleness.hasEmitted = true
  }

  /// Emits the records before a failure, and a checkpoint after them if the input is at fault.
  ///
  /// Without the checkpoint, each new run would take their output back, meet the same failure, and never keep their
  /// output. After another failure, such as one of reading, the cursors may be incomplete, and the next run need not
  /// meet it again.
  mutating func keepWhatPrecedes(_ error: any Error, _ emit: (consuming IngestedItem) -> Void) {
    guard let error = error as? StreamError, error.isInput else { return emitWhole(emit) }
    // The batch of a live source may be cut anywhere. For other sources, the next run cuts it at the same record.
    do throws(StreamError) {
      if context.configuration.isLive { try cutBatch(emit) }
    } catch {
      // A split that could not be finished is in no cursor any more, so no checkpoint may follow. The first failure is
      // the one to report.
      return emitWhole(emit)
    }
    emitWhole(emit)
    guard checkpoints.letsRunsGoOn, !checkpoints.isSettled else { return }
    try? emitBarrier(emit)
  }

  /// Notes a record that is dropped.
  mutating func leaveOut(
    _ fault: RecordFault, _ bytes: [UInt8], of reader: SplitReader, record: Int,
    byteOffset: Int
  ) {
    let keptBytes = context.configuration.badRecords == .deadLetter ? bytes : []
    let place = source.place(of: reader.split, at: byteOffset) ?? reader.shownName
    batch.leaveOut(
      RejectedRecord(
        split: place, record: record, byteOffset: byteOffset, fault: fault,
        bytes: keptBytes, origin: reader.rejectedOrigin))
  }

  // MARK: Between two batches

  /// Emits the requests of operators.
  mutating func takeRequests(_ emit: (consuming IngestedItem) -> Void) {
    guard isOpen, batch.hasLeftWhole else { return }
    var requests: [StreamRequest] = []
    for request in context.inbox.takeAll() {
      guard request.command == .checkpoint else {
        requests.append(request)
        if case .keys = request.command { continue }
        if request.command.isFrequent {
          // A checkpoint after each would cost more than the change.
          checkpoints.left()
        } else {
          // Replayed records would not contain this change.
          checkpoints.demand()
        }
        continue
      }
      if checkpoints.isEnabled {
        checkpoints.demand(request)
      } else {
        request.answer(
          .failure(.unfit("stream '\(context.configuration.name)' keeps no checkpoints")))
      }
    }
    emitRequests(requests, emit)
  }

  /// Emits requests together, since each item costs the next stage a step, and its changes are shown once.
  private mutating func emitRequests(
    _ requests: [StreamRequest], _ emit: (consuming IngestedItem) -> Void
  ) {
    guard !requests.isEmpty else { return }
    emitWhole(emit)
    emit(.requests(requests))
    idleness.hasEmitted = true
  }

  /// Emits the gradients that are there for the batches that are cut.
  ///
  /// - Parameter inTurns: whether lines that name no batch take turns with records that may come. At a cut they do not: the
  ///   next one may be far away.
  mutating func takeGradients(
    inTurns: Bool = false, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    gradients?.beginLook()
    guard isOpen, batch.hasLeftWhole, gradients != nil else { return }
    var requests: [StreamRequest] = []
    defer { emitRequests(requests, emit) }
    var byteCount = 0
    let end = context.clock.now() + GradientFeed.turnSeconds
    for _ in 0..<GradientFeed.mostLines where byteCount < GradientFeed.mostBytes {
      let line: GradientFeed.Line?
      do throws(FileError) { line = try gradients?.feed.take() } catch { throw .inputOutput(error) }
      guard let line else { return }
      gradients?.found = .lines
      byteCount += line.byteCount
      checkpoints.left()
      requests += gradients?.requests.requests(line) ?? []
      if inTurns, !line.namesBatch, context.clock.now() >= end { break }
    }
    gradients?.found = .tooMany
  }

  /// Whether all records that were there when the source was opened have left, in batches that are cut.
  var hasCaughtUp: Bool {
    source.hasCaughtUp && splits.haveTakenAll && batch.records.isBetweenBatches
  }

  mutating func emitBarrier(
    _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    guard isOpen, batch.hasLeftWhole else { return }
    emitWhole(emit)
    var input = InputCursor(
      opening: opening, form: context.form, done: source.done)
    do throws(FileError) {
      // With many connections, nobody needs their cursors.
      if !source.endsAnywhere { input.splits = try splits.cursors(source) }
    } catch {
      throw .inputOutput(error)
    }
    var barrier = Barrier(
      input: input, doneChanges: source.takeDoneChanges(), requests: checkpoints.barrierLeaves())
    barrier.isRepeating = checkpoints.isRepeating
    do throws(FileError) {
      barrier.gradients = try gradients?.feed.position() ?? context.gradientCursor
    } catch {
      throw .inputOutput(error)
    }
    emit(.barrier(barrier))
    idleness.hasEmitted = true
  }
}
