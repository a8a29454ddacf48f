internal import Records

/// The transform of one value by the moments of its key, in the operations of `ColumnTransform` and their order.
private struct KeyTransform {
  let center, low, high, scale, shift, fill: Double

  init(_ batch: borrowing KeyedBatch, cell: Int, _ whole: ColumnTransform, isCentred: Bool) {
    let mean = batch.means[cell]
    let middle = isCentred ? 0 : mean
    center = isCentred ? mean : 0
    low = middle - batch.reaches[cell]
    high = middle + batch.reaches[cell]
    scale = batch.scales[cell]
    shift = whole.shift
    fill = whole.fill.isNaN || isCentred ? whole.fill : mean * batch.scales[cell] + shift
  }

  init(_ whole: ColumnTransform) {
    (center, low, high) = (whole.center, whole.low, whole.high)
    (scale, shift, fill) = (whole.scale, whole.shift, whole.fill)
  }

  @inline(__always)
  func isClipped(_ x: Double) -> Bool { x - center < low || x - center > high }

  @inline(__always)
  func callAsFunction(_ x: Double) -> Double {
    x.isNaN ? fill : min(max(x - center, low), high) * scale + shift
  }
}

extension KeyedBatch {
  /// The transform of a record's value.
  ///
  /// - Parameters:
  ///   - offset: the place of the record in the batch.
  ///   - place: the place of the feature among those that keys normalise.
  @inline(__always)
  fileprivate func transform(
    of offset: Int, _ place: Int, _ whole: ColumnTransform, isCentred: Bool
  ) -> KeyTransform {
    let number = Int(numbers[offset])
    guard number >= 0 else { return KeyTransform(whole) }
    let cell = number * features.count + place
    return scales[cell].isNaN
      ? KeyTransform(whole) : KeyTransform(self, cell: cell, whole, isCentred: isCentred)
  }

  /// The records whose y is greater than the limit, with x.
  func unfit(
    _ feature: Int, _ whole: ColumnTransform, _ columns: FeatureColumns, _ records: Range<Int>,
    isCentred: Bool, limit: Double
  ) -> [(record: Int, x: Double)] {
    guard let place = features.firstIndex(of: feature) else { return [] }
    var unfit: [(Int, Double)] = []
    for (offset, record) in records.enumerated() {
      let x = columns[record: record, feature: feature]
      let y = transform(of: offset, place, whole, isCentred: isCentred)(x)
      if x.isNaN && y.isNaN || abs(y) <= limit { continue }
      unfit.append((record, x))
    }
    return unfit
  }
}

extension FeatureColumns {
  /// Normalises the values of some records by the moments of their keys, and adds to `clipped` how many of each feature
  /// were limited.
  ///
  /// - Parameter features: the plans of all features.
  mutating func apply(
    _ batch: borrowing KeyedBatch, _ features: [FeaturePlan], to records: Range<Int>,
    isCentred: Bool, countingClipped clipped: inout [Int]
  ) {
    let capacity = capacity
    switch values {
    case .float32:
      withFloat32Columns {
        Self.apply(batch, features, &$0, records, capacity, isCentred, &clipped)
      }
    case .float64:
      withFloat64Columns {
        Self.apply(batch, features, &$0, records, capacity, isCentred, &clipped)
      }
    }
  }

  private static func apply<Scalar: BinaryFloatingPoint>(
    _ batch: borrowing KeyedBatch, _ features: [FeaturePlan], _ values: inout [Scalar],
    _ records: Range<Int>, _ capacity: Int, _ isCentred: Bool, _ clipped: inout [Int]
  ) {
    for (place, feature) in batch.features.enumerated() {
      guard let whole = features[feature].transform else { continue }
      let first = feature * capacity + records.lowerBound
      var found = 0
      for offset in 0..<records.count {
        let x = Double(values[first + offset])
        let transform = batch.transform(of: offset, place, whole, isCentred: isCentred)
        if transform.isClipped(x) { found += 1 }
        // A missing value keeps its bits.
        if !x.isNaN || !transform.fill.isNaN { values[first + offset] = Scalar(transform(x)) }
      }
      clipped[feature] += found
    }
  }
}
