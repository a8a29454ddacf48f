internal import CColumnKernel
internal import State

// The Swift file that calls the C loops over drift charts. They give the same bits for every processor.

/// The loops for one kind of instructions.
struct DriftKernel: Sendable {
  let instructions: ColumnInstructions

  /// The fastest that this processor has.
  static let best = DriftKernel(instructions: column_instructions_best())

  /// ln of a normal positive number.
  static func log(_ value: Double) -> Double { chart_logarithm(value) }

  /// e^x.
  static func exp(_ value: Double) -> Double { chart_exponential(value) }

  /// Gives the charts of means and deviations the batch as a pool. Those that need a closer look are left, and noted in
  /// the batch: 1 for the mean of a feature, 2 for its deviation.
  ///
  /// - Returns: how many charts are left.
  func observeMoments(
    _ batch: inout DriftBatch, at place: DriftPlace, _ rules: DriftRules, _ rows: DriftRows
  ) -> Int {
    let count = rows.features
    precondition(batch.features == count)
    return batch.withColumns { column, left in
      chart_observe_moments(
        instructions, ChartColumns(rows), count,
        ChartMoments(
          weights: column(.weight), means: column(.mean), squares: column(.squares),
          slow_weights: column(.slowWeight), open: UnsafePointer(rows.openWeights)),
        ChartRule(rules), ChartPlace(place), left)
    }
  }

  /// Gives the charts of a kind, of which a rise and a fall are drift, the shares of the batch. Those that need a closer
  /// look are left, and so are those without a share.
  func observeShares(
    _ kind: DriftKind, _ batch: inout DriftBatch, at place: DriftPlace, _ rules: DriftRules,
    _ rows: DriftRows
  ) -> Int {
    let count = rows.features
    precondition(batch.features == count)
    return batch.withColumns { column, left in
      chart_observe_shares(
        instructions, ChartColumns(rows), kind.row(of: 0, among: count), count,
        ChartPools(
          values: column(.share), weights: column(.shareWeight),
          slow_weights: column(.shareSlowWeight)), DriftShare.floor,
        ChartRule(rules), ChartPlace(place), left)
    }
  }
}

extension DriftBatch {
  /// Calls `body` with the start of each column, and that of `left`.
  fileprivate mutating func withColumns(
    _ body: ((Column) -> UnsafePointer<Double>, UnsafeMutablePointer<UInt8>) -> Int
  ) -> Int {
    let features = features
    return numbers.withUnsafeBufferPointer { numbers in
      left.withUnsafeMutableBufferPointer { left in
        guard let first = numbers.baseAddress, let left = left.baseAddress else { return 0 }
        return body({ first + $0.rawValue * features }, left)
      }
    }
  }
}

extension ChartColumns {
  fileprivate init(_ rows: DriftRows) {
    self.init(reals: rows.columns.reals, counts: rows.columns.counts)
  }
}

extension ChartRule {
  fileprivate init(_ rules: DriftRules) {
    self.init(threshold: rules.threshold, follows: rules.follows)
  }
}

extension ChartPlace {
  fileprivate init(_ place: DriftPlace) {
    self.init(batch: place.batch, record: place.record, seconds: place.seconds)
  }
}
