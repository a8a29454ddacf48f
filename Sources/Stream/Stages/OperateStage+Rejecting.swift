internal import BatchNormalization
internal import Codecs
internal import Operators
internal import Records

/// Drops records whose numbers do not fit the output. The decoder has read them, so that only normalising finds them.
extension OperateStage {
  /// Lets the operators work on all records of a block that can be normalised.
  mutating func operate(
    on block: inout RecordBlock, as role: BatchRole
  ) throws(StreamError) -> BatchEmission {
    var all = block.all
    return try operate(on: &block, &all, as: role)
  }

  /// Lets the operators work on a piece of a block, without the records whose numbers do not fit the output.
  mutating func operate(
    on block: inout RecordBlock, _ piece: inout Range<BlockOffset>, as role: BatchRole
  ) throws(StreamError) -> BatchEmission {
    let before = operators?.stateVersions
    let looksAtTimes = configuration.hasEventTimes && (role == .whole || role == .part)
    while true {
      if looksAtTimes { try rejectFuture(of: &block, &piece) }
      let records = piece.lowerBound.records..<piece.upperBound.records
      if role == .part {
        open.keepValues(of: block.columns, records, capacity: configuration.batch.size)
      }
      let tapped = tapped(piece, of: block)
      do throws(StreamError) {
        let emission = try operate(on: &block.columns, records, as: role)
        if looksAtTimes { operators?.acceptTimes(of: block.columns, records) }
        if configuration.stampsVersions, let before, let operators {
          block.mark(
            operators.usesOwnBatch ? operators.stateVersions : before, from: records.lowerBound)
        }
        if !tapped.isEmpty { showTapped(tapped, of: piece, block, emission) }
        return emission
      } catch {
        guard let unfit = error.unfitValues else {
          throw error.at(
            block.place(of: records.lowerBound), through: records.last.map { block.place(of: $0) },
            configuration)
        }
        if role == .part { open.forget(records.count) }
        try reject(
          unfit.map {
            let found = $0.found(keepsWidths: configuration.keepsWidths)
            return ($0.record, RecordFault(expected: $0.expected, found: found))
          },
          of: &block,
          &piece)
      }
    }
  }

  /// Takes the records of the future out of a piece of a block.
  private mutating func rejectFuture(
    of block: inout RecordBlock, _ piece: inout Range<BlockOffset>
  ) throws(StreamError) {
    var times = times
    let future =
      operators?.futureRecords(
        of: block.columns, piece.lowerBound.records..<piece.upperBound.records
      ) { times.wallSeconds() } ?? []
    self.times = times
    guard !future.isEmpty else { return }
    try reject(
      future.map { ($0.record, RecordFault(expected: $0.expected, found: $0.found)) }, of: &block,
      &piece)
  }

  /// Takes bad records out of a piece of a block, or fails the stream, as `on_bad_record` says. A record that cannot be
  /// taken out stays without its features, and counts for nothing.
  private mutating func reject(
    _ bad: [(record: Int, fault: RecordFault)], of block: inout RecordBlock,
    _ piece: inout Range<BlockOffset>
  ) throws(StreamError) {
    let parts = try? configuration.format.makeDecoder(configuration.decoding)
      .parts(of: bad.map(\.record), in: block)
    let stays =
      configuration.badRecords != .fail && parts == nil && spoil(bad.map(\.record), of: &block)
    var rejected: [RejectedRecord] = []
    for (index, (badRecord, fault)) in bad.enumerated() {
      let part = parts?[index]
      let origin = block.origins.origin(of: badRecord)
      var place = block.place(of: badRecord, part)
      if let origin { place.split = MessageOrigin.place(place.split, offset: origin.offset) }
      guard configuration.badRecords != .fail, part != nil || stays else {
        throw .badRecord(
          stream: configuration.place(inSplit: place.split), record: place.record,
          byteOffset: place.byteOffset, fault: fault)
      }
      var fault = fault
      fault.staysInOutput = stays
      rejected.append(
        RejectedRecord(
          split: place.split, record: place.record, byteOffset: place.byteOffset, fault: fault,
          bytes: configuration.badRecords == .deadLetter ? part?.bytes ?? [] : [],
          origin: origin, wasRead: !stays))
    }
    if let parts {
      block.remove(parts)
      piece = piece.lowerBound..<piece.upperBound.without(parts)
    }
    drop(rejected)
  }

  /// Takes the features and the roles from records that the payload must keep.
  ///
  /// - Returns: false if it need not.
  private func spoil(_ records: [Int], of block: inout RecordBlock) -> Bool {
    guard block.payload.spoil(records) else { return false }
    for record in records {
      block.columns.setMissing(record: record)
      if configuration.usesMessageTimes { block.columns.setTime(RoleNumbers.noTime, of: record) }
      guard !configuration.decoder.roles.isEmpty else { continue }
      block.columns.setRoles(.none(of: configuration.decoder.roles), of: record)
    }
    return true
  }
}

extension StreamError {
  /// The same error with the places of the records, if it is about records of one split.
  func at(
    _ first: RecordPlace, through last: RecordPlace?, _ configuration: StreamConfiguration
  ) -> StreamError {
    guard case .badNumbers(_, _, let reason) = self, let last, first.split == last.split,
      first.record <= last.record
    else { return self }
    return .badNumbers(
      stream: configuration.place(inSplit: first.split), records: first.record...last.record,
      reason)
  }

  /// The values that the operators found not to fit the output; nil for other errors.
  var unfitValues: [UnfitValue]? {
    guard case .badNumbers(_, _, let error) = self,
      case .unfit(let values) = error.cause as? NormalizationError
    else { return nil }
    return values
  }
}
