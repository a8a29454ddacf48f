package import Records

/// The numbers that describe a mini-batch, one `FeatureSummary` a feature: computed once, before its
/// values change, and shared by all operators.
///
/// Its memory is used again for the next batch.
package struct BatchSummary: Sendable {
  /// The number of records.
  package private(set) var recordCount = 0
  /// Whether the moments were computed.
  package private(set) var hasMoments = false
  package private(set) var features: [FeatureSummary]
  /// The values of each feature that `clip` limited; known once the batch is transformed.
  package private(set) var clipped: [Int]
  /// The moments of each cold feature of the plan after the last record; known once the batch is transformed.
  private(set) var prefixEnds: [PrefixMoments] = []
  /// The values of the batch, until they are transformed; nil unless the records have keys or an operator needs them.
  private(set) var values: BatchValues?
  private var event = EventWeights()
  /// The newest event time of the records, in whole microseconds since 1970; nil without event times, or if the moments
  /// do not decay by them.
  var newest: Double? { event.newest }

  package init(featureCount: Int) {
    features = Array(repeating: FeatureSummary(), count: featureCount)
    clipped = Array(repeating: 0, count: featureCount)
  }

  /// Describes some records of a block. The moments are weighed by the weights of the records, if they have some.
  ///
  /// - Parameters:
  ///   - records: those that are the batch.
  ///   - withMoments: whether the moments are needed; they cost a second pass. Weighed ones are always there.
  ///   - withValues: whether an operator reads the values when it plans.
  ///   - eventHalfLife: the half-life in event time by which a record weighs less the older it is than the newest one.
  /// - Throws: `NormalizationError.featureCount` if the block has another number of columns.
  package mutating func measure(
    _ columns: FeatureColumns, _ records: Range<Int>, withMoments: Bool,
    withValues: Bool = false, eventHalfLife: Double? = nil
  ) throws(NormalizationError) {
    guard columns.featureCount == features.count else {
      throw .featureCount(of: "batch", expected: features.count, found: columns.featureCount)
    }
    recordCount = records.count
    let isNeeded = withValues || columns.roles.keys != nil
    values = isNeeded ? BatchValues(columns: columns, records: records) : nil
    var (weights, first) = (columns.roles.weights, 0)
    if let eventHalfLife, columns.roles.times != nil {
      event.measure(columns.roles, records, EventDecay(halfLife: eventHalfLife))
      (weights, first) = (event.weights, records.lowerBound)
    }
    hasMoments = withMoments || weights != nil
    // In place: with small batches, copies of summaries would cost as much as the arithmetic.
    var span = features.mutableSpan
    for j in span.indices {
      let statistics =
        weights.map { columns.weightedStatistics(of: j, in: records, $0, from: first) }
        ?? columns.statistics(of: j, in: records, withMoments: withMoments, exactly: false)
      span[j].presentCount = statistics.extent.presentCount
      span[j].missingCount = records.count - statistics.extent.presentCount
      span[j].countedCount = statistics.counted
      span[j].moments = statistics.moments
      span[j].weightSquares = statistics.weightSquares
      span[j].extent = statistics.extent
    }
    for j in clipped.indices { clipped[j] = 0 }
  }

  /// Transforms the records in place by the plan, and counts the values that are clipped.
  package mutating func transform(
    _ columns: inout FeatureColumns, _ records: Range<Int>, by plan: borrowing BatchPlan
  ) {
    // Columns of two owners would be copied.
    values = nil
    let features = plan.features
    columns.apply(to: records, countingClipped: &clipped) { feature in
      features[feature].isByKey ? nil : features[feature].transform
    }
    if !plan.keyed.numbers.isEmpty {
      columns.apply(
        plan.keyed, features, to: records, isCentred: plan.settings.parts != .scale,
        countingClipped: &clipped)
    }
    prefixEnds.removeAll(keepingCapacity: true)
    for cold in plan.cold {
      switch plan.settings.warmUp.emission {
      case .prefix, .hold:
        prefixEnds.append(
          columns.applyPrefix(
            of: cold, plan.settings, to: records, countingClipped: &clipped[cold.feature]))
      case .pass: break
      case .missing: columns.blank(cold.feature, in: records)
      }
    }
  }
}

/// The numbers that describe one feature in a mini-batch.
package struct FeatureSummary: Sendable {
  package internal(set) var presentCount = 0
  package internal(set) var missingCount = 0
  /// The present values with a weight above 0: all without weights.
  package internal(set) var countedCount = 0
  /// Of the counted values; the moments of nothing if there are none or if they were not computed.
  package internal(set) var moments = Moments()
  /// The sum of the squares of the weights.
  var weightSquares = 0.0
  var extent = ColumnExtent()

  /// m2 / (W − Σw²/W), which is m2 / (n − 1) without weights; nil if fewer than two values are counted.
  var unbiasedVariance: Double? {
    guard countedCount > 1, moments.weight > 0 else { return nil }
    let divisor = moments.weight - weightSquares / moments.weight
    return divisor > 0 ? moments.m2 / divisor : nil
  }

  /// The mean of the counted values, whether or not the moments were computed; nil if there are none, or if their
  /// sum is not finite.
  package var mean: Double? {
    guard countedCount > 0 else { return nil }
    let mean = moments.weight > 0 ? moments.mean : extent.sum / Double(presentCount)
    return mean.isFinite ? mean : nil
  }
}
