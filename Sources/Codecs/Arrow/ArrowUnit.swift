internal import Records

/// The record batch whose rows a decoder is taking.
struct ArrowUnit: Sendable {
  let batch: ArrowBatch
  /// The size of its message with the body.
  let byteCount: Int
  private var rowsTaken = 0

  init(_ batch: ArrowBatch, byteCount: Int) {
    self.batch = batch
    self.byteCount = byteCount
  }

  var rowsLeft: Int { batch.layout.records - rowsTaken }

  /// Takes rows into columns, and slices of them into the payload, as `RecordDecoder.decode` does.
  ///
  /// A bad row stays in the output, without its features. If the output has another format, it is left out.
  mutating func take(
    into columns: inout FeatureColumns, _ payload: inout ArrowPayload, limit: Int,
    _ options: DecoderOptions, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    let first = columns.count
    var count = min(rowsLeft, limit - first)
    guard count > 0 || rowsLeft == 0 else {
      progress.isInsideUnit = rowsTaken > 0
      return .limitReached
    }
    var fault: RecordFault?
    let found = batch.read(rowsTaken..<rowsTaken + count, into: &columns, from: first)
    if found.hasInvalid || found.hasMissing && options.onMissing == .reject {
      (count, fault) = check(&columns, first..<first + count, options)
    }
    if let bad = batch.rowWithoutText(in: rowsTaken..<rowsTaken + count) {
      (count, fault) = (bad.row - rowsTaken, bad.fault)
      columns.setMissing(record: first + count)
    }
    if !options.roles.isEmpty, let bad = readRoles(count, options.roles, into: &columns) {
      (count, fault) = (bad.row, bad.fault)
      columns.setMissing(record: first + bad.row)
    }
    if count > 0 || batch.layout.records == 0 {
      move(count, into: &columns, &payload)
      progress.records += count
    }
    if var fault {
      fault.staysInOutput = options.keepsFormat
      if options.keepsFormat {
        if !options.roles.isEmpty { columns.setRoles(.none(of: options.roles), of: columns.count) }
        move(1, into: &columns, &payload, isBad: true)
      } else {
        rowsTaken += 1
      }
      progress.records += 1
      progress.isInsideUnit = true
      return .rejected(fault, byteCount: 0)
    }
    progress.isInsideUnit = rowsLeft > 0
    return rowsLeft > 0 ? .limitReached : .unitEnded
  }

  /// Reads the roles of the next rows.
  ///
  /// - Returns: the first row with a bad one, and its fault; nil if all are good.
  private func readRoles(
    _ count: Int, _ roles: [RoleColumn], into columns: inout FeatureColumns
  ) -> (row: Int, fault: RecordFault)? {
    // The arrays of the roles follow those that the output needs.
    let arrays = batch.scalars.suffix(roles.count)
    let text = ByteBuffer()
    for row in 0..<count {
      var told = RecordRoles()
      for (role, array) in zip(roles, arrays) {
        text.removeAll()
        do throws(RecordFault) {
          if array.spell(rowsTaken + row, to: text) {
            try role.read(text.readable, into: &told)
          } else {
            try role.readMissing("null", into: &told)
          }
        } catch {
          return (row, error)
        }
      }
      columns.setRoles(told, of: columns.count + row)
    }
    return nil
  }

  /// Counts rows whose values are in the columns.
  private mutating func move(
    _ count: Int, into columns: inout FeatureColumns, _ payload: inout ArrowPayload,
    isBad: Bool = false
  ) {
    let rows = rowsTaken..<rowsTaken + count
    payload.append(
      .slice(.init(batch: batch, rows: rows, record: columns.count, isBad: isBad)))
    columns.count += count
    rowsTaken += count
  }

  /// Looks for a bad record, and makes invalid values that count as missing NaN.
  ///
  /// - Returns: the number of records before the first bad one, and its fault. Its values are NaN.
  private func check(
    _ columns: inout FeatureColumns, _ records: Range<Int>, _ options: DecoderOptions
  ) -> (count: Int, RecordFault?) {
    var bad: (record: Int, feature: Int, value: Double)?
    for feature in 0..<columns.featureCount {
      for record in records.lowerBound..<(bad?.record ?? records.upperBound) {
        let value = columns[record: record, feature: feature]
        let isInvalid = abs(value) > FeatureColumns.greatest
        if isInvalid, options.onInvalid == .missing {
          columns.setMissing(record: record, feature: feature)
        } else if isInvalid || value.isNaN && options.onMissing == .reject {
          bad = (record, feature, value)
          break
        }
      }
    }
    guard let bad else { return (records.count, nil) }
    columns.setMissing(record: bad.record)
    let name = quoted(batch.features.schema.names[bad.feature])
    let fault =
      if bad.value.isNaN {
        RecordFault(expected: "a value of feature \(name)", found: "null")
      } else if bad.value.isInfinite {
        RecordFault(expected: "a finite number in feature \(name)", found: "\(bad.value)")
      } else {
        RecordFault(
          tooGreat: "\(bad.value)", feature: batch.features.schema.names[bad.feature])
      }
    return (bad.record - records.lowerBound, fault)
  }
}
