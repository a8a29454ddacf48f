extension FeatureBatch {
  /// Takes the records of another batch of the same features and width behind its own.
  ///
  /// There must be room for them.
  package mutating func append(_ other: FeatureBatch) {
    precondition(other.featureCount == featureCount && count + other.count <= capacity)
    let (start, capacity) = (count, capacity)
    switch other.columns {
    case .float32(let values):
      withFloat32Columns { other.copy(values, into: &$0, capacity: capacity, at: start) }
    case .float64(let values):
      withFloat64Columns { other.copy(values, into: &$0, capacity: capacity, at: start) }
    }
    count += other.count
  }

  /// The same records with no room for more.
  package func compacted() -> FeatureBatch {
    var compact = FeatureBatch(featureCount: featureCount, capacity: count, precision: precision)
    compact.append(self)
    return compact
  }

  /// Copies the values of every column to those of a batch with another capacity.
  private func copy<Value>(
    _ values: [Value], into columns: inout [Value], capacity otherCapacity: Int, at start: Int
  ) {
    for feature in 0..<featureCount {
      let (source, target) = (feature * capacity, feature * otherCapacity + start)
      for record in 0..<count { columns[target + record] = values[source + record] }
    }
  }
}
