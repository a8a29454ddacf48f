internal import Records

/// The records so far of an open mini-batch.
enum OpenRecords: Sendable {
  /// There are none.
  case none
  /// They wait for the cut, with everything that is emitted with them.
  case gathered(RecordBlock)
  /// They were emitted. Their values wait, untransformed, to update the moments at the cut.
  case emitted(FeatureColumns)

  /// Gathers records of a batch.
  ///
  /// - Parameter capacity: the most records of a batch.
  mutating func gather(_ block: RecordBlock, capacity: Int) {
    var gathered = takeGathered() ?? RecordBlock(columns: block.columns.empty(capacity: capacity))
    gathered.append(block)
    self = .gathered(gathered)
  }

  /// Takes the records of the whole batch.
  mutating func takeGathered() -> RecordBlock? {
    guard case .gathered(let block) = self else { return nil }
    // Removed from the enumeration, so that the block has one owner.
    self = .none
    return block
  }

  /// Keeps the values of records that are emitted.
  ///
  /// - Parameter capacity: the most records of a batch.
  mutating func keepValues(of columns: FeatureColumns, _ records: Range<Int>, capacity: Int) {
    var values = takeValues() ?? columns.empty(capacity: capacity)
    values.append(columns, records: records)
    self = .emitted(values)
  }

  /// Drops the values of the last records, which are emitted otherwise or not at all.
  mutating func forget(_ count: Int) {
    guard var values = takeValues() else { return }
    values.count -= count
    self = .emitted(values)
  }

  /// Takes the values of the whole batch.
  mutating func takeValues() -> FeatureColumns? {
    guard case .emitted(let values) = self else { return nil }
    self = .none
    return values
  }
}

extension FeatureColumns {
  /// Empty columns with the same features and width, with room for some records.
  fileprivate func empty(capacity: Int) -> FeatureColumns {
    FeatureColumns(featureCount: featureCount, capacity: capacity, precision: precision)
  }
}
