import Records

extension BatchSummary {
  /// Counts the present values of a feature between bounds, if the summary was asked for values.
  ///
  /// - Parameters:
  ///   - bounds: of values from which the mean is taken, divided by the deviation; they ascend.
  ///   - counts: has one entry more than bounds for it, from `start` on.
  package func count(
    feature: Int, between bounds: [Double], mean: Double, deviation: Double,
    into counts: inout [Int], from start: Int
  ) {
    guard let values else { return }
    let limits = bounds.map { mean + deviation * $0 }
    values.forEach(of: feature) { value in
      guard !value.isNaN else { return }
      var (low, high) = (0, limits.count)
      while low < high {
        let middle = (low + high) / 2
        if limits[middle] < value { low = middle + 1 } else { high = middle }
      }
      counts[start + low] += 1
    }
  }
}

/// The values of a batch before they are transformed.
struct BatchValues: Sendable {
  let columns: FeatureColumns
  /// Those that are the batch.
  let records: Range<Int>

  /// Those of the records; nil if the stream has none.
  var keys: KeyBytes? { columns.roles.keys }

  func forEach(of feature: Int, _ visit: (Double) -> Void) {
    let start = feature * columns.capacity
    let range = start + records.lowerBound..<start + records.upperBound
    switch columns.values {
    case .float32(let values): for value in values[range] { visit(Double(value)) }
    case .float64(let values): for value in values[range] { visit(value) }
    }
  }
}
