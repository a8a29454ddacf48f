internal import Records

extension KeyedBatch {
  /// The transform of a record's value, as `key_map_double` does it.
  ///
  /// - Parameters:
  ///   - offset: the place of the record in the batch.
  ///   - feature: one that keys normalise.
  private func transform(
    of offset: Int, _ feature: Int, _ whole: ColumnTransform, isCentred: Bool
  ) -> ColumnTransform {
    let number = Int(numbers[offset])
    let cell = number * gammas.count + feature
    guard number >= 0, !scales[cell].isNaN else { return whole }
    var own = whole
    let middle = isCentred ? 0 : means[cell]
    own.center = isCentred ? means[cell] : 0
    (own.low, own.high) = (middle - reaches[cell], middle + reaches[cell])
    own.scale = scales[cell]
    if !isCentred, !whole.fill.isNaN { own.fill = means[cell] * own.scale + own.shift }
    return own
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
      let own = transform(of: offset, feature, whole, isCentred: isCentred)
      let y = x.isNaN ? own.fill : own(x)
      if x.isNaN && y.isNaN || abs(y) <= limit { continue }
      unfit.append((record, x))
    }
    return unfit
  }
}
