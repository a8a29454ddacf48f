internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage

/// Takes records from splits, and releases splits that have ended or cannot continue.
extension IngestStage {
  /// Takes one bounded step with a split.
  ///
  /// - Returns: whether the step took so small a batch that the next step should follow at once, which costs less.
  mutating func advance(
    _ reader: inout SplitReader, _ emit: (consuming IngestedItem) -> Void
  ) throws(SplitFailure) -> Bool {
    guard !reader.isTorn else { return false }
    guard reader.isOpen else {
      guard let found = try openReader(&reader) else {
        // One without a record waits for other splits, and not for bytes.
        if !reader.needsBytes { try fill(&reader) }
        return false
      }
      position = reader.position()
      try accept(found, &reader, emit)
      return false
    }
    let most = mostRecords
    // The next step waits.
    guard most > 0 else { return false }
    if batch.records.isTooLarge {
      emitWhole(emit)
      guard !batch.records.isTooLarge else { throw .stream(context.batchTooLarge) }
    }
    let prologue = batch.prologue ?? opening?.prologue
    let recordsBefore = reader.records
    let source = context.configuration.keepsMessages ? self.source : nil
    let setsTimes = context.configuration.usesMessageTimes
    let (outcome, bytes, progress) = batch.records.add(atMost: most) {
      reader.decode(
        into: &$0, limit: $1, prologue: prologue, from: source, setsTimes: setsTimes)
    }
    rate.take(records: reader.records - recordsBefore)
    if recordsBefore == 0, reader.records > 0 {
      do throws(StreamError) { try begin(reader, emit) } catch { throw .stream(error) }
    }
    batch.records.isInsideUnit = progress.isInsideUnit
    batch.prologue = progress.prologue
    if batch.cutsAt == nil, context.configuration.cutsByTime, batch.records.tail > 0,
      !context.configuration.batch.isRecordBatch
    {
      batch.cutsAt = context.clock.now() + context.configuration.batch.maxDelaySeconds
    }
    if case .rejected = outcome, context.configuration.badRecords == .fail {
      // The next run meets this record again. No position after it may be asked for before, because a later position
      // forgets the frame in which the record begins.
      reader.untake(byteCount: bytes.count)
    }
    position = reader.position()
    let mostBytes = context.configuration.batch.maxBytes
    if batch.records.byteCount > mostBytes {
      // Whole batches before the open one do not count, so they leave first.
      emitWhole(emit)
      guard batch.records.byteCount <= mostBytes else { throw .stream(context.batchTooLarge) }
    }
    switch outcome {
    case .limitReached:
      return batch.records.isFull ? try cutFull(&reader, emit) : false
    case .unitEnded:
      return batch.records.endUnit() ? try cutFull(&reader, emit) : false
    case .rejected(let fault, _): try reject(fault, bytes, &reader, emit)
    case .failed(let fault): throw .badRecord(fault, at: 0)
    case .needsInput: if !reader.isDone { try fill(&reader) }
    }
    return false
  }

  /// Cuts the batch after the last record of a reader.
  ///
  /// - Returns: whether the batch is so small that the next step should follow at once.
  mutating func cutFull(
    _ reader: inout SplitReader, _ emit: (consuming IngestedItem) -> Void
  ) throws(SplitFailure) -> Bool {
    // No later run can resume inside a unit.
    if !batch.records.isInsideUnit { reader.settle() }
    do throws(StreamError) {
      try cutBatch(emit)
    } catch {
      throw .stream(error)
    }
    return batch.records.hasWhole && !checkpoints.isDue
  }

  func openReader(_ reader: inout SplitReader) throws(SplitFailure) -> StreamOpening? {
    if let opening, !reader.knowsStream {
      do throws(FormatError) {
        reader.start(
          with: try context.makeDecoder(reader.header, at: reader.decoderStart, of: opening))
      } catch {
        throw .stream(.format(stream: context.configuration.name, error))
      }
    }
    do throws(RecordFault) {
      return try reader.open(
        isEnough: isLookAheadOver || reader.isCutOff,
        mayWait: context.configuration.hasManyInputs && hasMoreInput && !isLookAheadOver)
    } catch {
      guard let offset = error.offset else {
        throw .unreadable(.format(split: reader.shownName, error))
      }
      throw .badRecord(error, at: offset)
    }
  }

  func fill(_ reader: inout SplitReader) throws(SplitFailure) {
    do throws(InputFault) {
      try reader.fill()
    } catch {
      throw .unreadable(error)
    }
    if let fault = reader.growthFault { throw .badRecord(fault, at: 0) }
  }

  /// Accepts the start of the first split as that of the stream. The starts of other splits must fit it.
  mutating func accept(
    _ found: StreamOpening, _ reader: inout SplitReader,
    _ emit: (consuming IngestedItem) -> Void
  ) throws(SplitFailure) {
    do throws(StreamError) {
      guard var opening else {
        return try open(context.noting(found), emit)
      }
      guard !areSame(found.columns, opening.columns) || found.schema != opening.schema else {
        return
      }
      let fault = InputFault.columns(
        split: reader.shownName, expected: opening.columns, found: found.columns)
      guard context.configuration.onSchemaChange == .newFile,
        Set(found.columns.asNames).isSuperset(of: opening.schema.names.asNames)
      else { throw .badInput(stream: context.configuration.name, fault) }
      opening.columns = found.columns
      opening.prologue = found.prologue
      opening.outputColumns = found.outputColumns
      opening.warning = nil
      try cutBatch(emit)
      try open(opening, emit)
    } catch {
      guard case .badInput(_, let fault) = error else { throw .stream(error) }
      throw .otherColumns(fault)
    }
  }

  /// Begins the stream, or a part of it with other columns.
  mutating func open(
    _ opening: StreamOpening, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    try context.checkBatch(of: opening.schema.count)
    emitWhole(emit)
    if !isOpen {
      splits.stopLookingAhead()
      splits.lookAheadEnds = nil
    }
    self.opening = opening
    batch.prologue = nil
    batch.records.featureCount = opening.schema.count
    batch.records.precision = context.columns(of: opening)
    emit(.opened(opening))
    idleness.hasEmitted = true
    // The checkpoint contains the position at which the first output is written.
    if source.done != nil, checkpoints.letsRunsGoOn, opening != context.knownOpening {
      checkpoints.demand()
    }
  }

  mutating func reject(
    _ fault: RecordFault, _ bytes: [UInt8], _ reader: inout SplitReader,
    _ emit: (consuming IngestedItem) -> Void
  ) throws(SplitFailure) {
    guard context.configuration.badRecords != .fail else {
      throw .stream(
        .badRecord(
          stream: place(of: reader, at: reader.byteOffset), record: reader.records + 1,
          byteOffset: reader.byteOffset, fault: fault))
    }
    leaveOut(
      fault, bytes, of: reader, record: reader.records,
      byteOffset: reader.byteOffset - bytes.count)
    // Many bad records in a row must not wait for good ones.
    guard batch.isFlooded else { return }
    if batch.isBetweenUnits { reader.settle() }
    do throws(StreamError) { try emitRejected(emit) } catch { throw .stream(error) }
  }

  /// The stream, and the place in the words of the source, in messages about a record.
  private func place(of reader: SplitReader, at byteOffset: Int) -> String {
    guard let place = source.place(of: reader.split, at: byteOffset) else {
      return context.place(of: reader)
    }
    return context.configuration.isLive ? "\(context.configuration.name): \(place)" : place
  }

  // MARK: The ends of a split

  /// Emits the beginning of a split, if its file may be gone before a checkpoint knows it. By its first record, the
  /// source can tell the file from others.
  func begin(
    _ reader: SplitReader, _ emit: (consuming IngestedItem) -> Void
  ) throws(StreamError) {
    guard source.filesMayGo, checkpoints.letsRunsGoOn, !source.openSplits.contains(reader.split)
    else { return }
    do throws(FileError) {
      emit(.begun(try reader.cursor(in: source)))
    } catch {
      throw .inputOutput(error)
    }
  }

  /// Releases a split of which all records were taken.
  mutating func end(_ reader: SplitReader) throws(StreamError) {
    // In a stream of many splits, a single one need not contain every feature.
    if !context.configuration.isLive, !context.configuration.hasManyInputs, !reader.isTorn {
      do throws(RecordFault) {
        try reader.finish()
      } catch {
        throw context.badInput(.format(split: "", error))
      }
    }
    try letGo(reader)
  }

  /// Gives up a split that cannot continue. Fails the stream, unless splits may end anywhere or bad ones are skipped.
  mutating func giveUp(
    _ reader: SplitReader, because failure: SplitFailure
  ) throws(StreamError) {
    let fault: RecordFault
    /// For a log, which other users may read.
    let reason: String
    var byteOffset = reader.byteOffset
    let configuration = context.configuration
    switch failure {
    case .stream(let error): throw error
    case .otherColumns(let found):
      guard configuration.onSchemaChange == .skip || source.endsAnywhere else {
        throw context.badInput(found)
      }
      fault = RecordFault(expected: "the columns of the stream", found: "others: \(found)")
      reason = found.reason
      byteOffset -= reader.ownPrologue?.count ?? 0
    case .unreadable(let found):
      guard configuration.onBadSplit == .skip || source.endsAnywhere else {
        throw context.badInput(found)
      }
      fault = RecordFault(expected: "a split that can be read", found: "one that cannot: \(found)")
      reason = found.reason
    case .badRecord(let found, let offset):
      byteOffset += offset
      guard configuration.onBadSplit == .skip || source.endsAnywhere else {
        throw .badRecord(
          stream: place(of: reader, at: byteOffset), record: reader.records + 1,
          byteOffset: byteOffset, fault: found)
      }
      fault = found
      reason = "expected \(found.expected)"
    }
    source.abandon(reader.split)
    // A file still has its bytes.
    let kept = source.endsAnywhere ? reader.refusedStart(failure) : []
    leaveOut(
      fault, kept, of: reader, record: reader.records + 1, byteOffset: byteOffset)
    if !source.endsAnywhere {
      context.warn("\(reader.name) is skipped: \(fault)")
    } else if splits.isNews(reason) {
      // Another producer with the same fault is only counted.
      context.warn("the records of a producer, \(reader.name), are dropped: \(reason)")
    }
    try letGo(reader)
  }

  /// Keeps the cursor of a split that gives no more records, until the batches of its records are cut.
  mutating func letGo(_ reader: SplitReader) throws(StreamError) {
    do throws(FileError) {
      try splits.end(reader, in: source)
    } catch {
      throw .inputOutput(error)
    }
    if batch.records.isBetweenBatches, batch.rejected.isEmpty { try settle() }
    checkpoints.splitEnded()
  }

  mutating func settle() throws(StreamError) {
    let done = splits.settle()
    do throws(FileError) {
      for split in done { try source.finish(split) }
    } catch {
      throw .inputOutput(error)
    }
    // Only from here on a checkpoint needs no byte of them.
    if !done.isEmpty { checkpoints.splitEnded() }
  }
}
