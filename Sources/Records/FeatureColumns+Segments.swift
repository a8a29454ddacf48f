extension FeatureColumns {
  /// Appends records of another batch with the same features and the same width.
  ///
  /// There must be room for them.
  package mutating func append(_ other: FeatureColumns, records: Range<Int>) {
    precondition(other.featureCount == featureCount && count + records.count <= capacity)
    let (start, capacity) = (count, capacity)
    roles.copy(records, of: other.roles, to: start, capacity: capacity)
    switch other.values {
    case .float32(let values):
      withFloat32Columns { other.copy(records, of: values, to: &$0, capacity: capacity, at: start) }
    case .float64(let values):
      withFloat64Columns { other.copy(records, of: values, to: &$0, capacity: capacity, at: start) }
    }
    count += records.count
  }

  /// Copies the values of records into the columns of a batch with another capacity.
  private func copy<Value>(
    _ records: Range<Int>, of values: [Value], to columns: inout [Value],
    capacity otherCapacity: Int, at start: Int
  ) {
    precondition(records.upperBound <= count)
    for feature in 0..<featureCount {
      let source = feature * capacity
      var target = feature * otherCapacity + start
      for record in records {
        columns[target] = values[source + record]
        target += 1
      }
    }
  }
}
