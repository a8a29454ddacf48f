internal import Records

/// The transform of one value by the moments of its key, as `key_map_double` does it.
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
  func callAsFunction(_ x: Double) -> Double {
    x.isNaN ? fill : min(max(x - center, low), high) * scale + shift
  }
}

extension KeyedBatch {
  /// The transform of a record's value.
  ///
  /// - Parameters:
  ///   - offset: the place of the record in the batch.
  ///   - feature: one that keys normalise.
  @inline(__always)
  fileprivate func transform(
    of offset: Int, _ feature: Int, _ whole: ColumnTransform, isCentred: Bool
  ) -> KeyTransform {
    let number = Int(numbers[offset])
    guard number >= 0 else { return KeyTransform(whole) }
    let cell = number * gammas.count + feature
    return scales[cell].isNaN
      ? KeyTransform(whole) : KeyTransform(self, cell: cell, whole, isCentred: isCentred)
  }

  /// The records whose y is greater than the limit, with x.
  ///
  /// - Parameter clip: the greatest |x̂|; nil if nothing bounds it.
  func unfit(
    _ feature: Int, _ whole: ColumnTransform, _ columns: FeatureColumns, _ records: Range<Int>,
    isCentred: Bool, clip: Double?, limit: Double
  ) -> [(record: Int, x: Double)] {
    // Most often the clip bounds y: no value needs a look.
    if let clip, abs(gammas[feature]) * clip + abs(whole.shift) <= limit / 2 { return [] }
    var unfit: [(Int, Double)] = []
    for (offset, record) in records.enumerated() {
      let x = columns[record: record, feature: feature]
      let y = transform(of: offset, feature, whole, isCentred: isCentred)(x)
      if x.isNaN && y.isNaN || abs(y) <= limit { continue }
      unfit.append((record, x))
    }
    return unfit
  }
}
