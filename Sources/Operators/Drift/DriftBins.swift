internal import BatchNormalization
internal import Glibc
internal import Records
internal import State

/// The distribution of a feature's normalised values: their shares in 16 bins that have the same probability if the
/// values are normal.
enum DriftBins {
  static let count = 16
  /// The bounds between the bins: the standard normal quantiles of 1/16 to 15/16.
  static let bounds: [Double] = upper.reversed().map { -$0 } + [0] + upper
  private static let upper = [
    0.15731068461017067, 0.31863936396437514, 0.4887764111146695, 0.6744897501960817,
    0.8871465590188758, 1.1503493803760079, 1.5341205443525459,
  ]

  /// The least deviation of `difference`, that of independent values.
  static let floor = (2 / (9 * Double(count - 1))).squareRoot()

  /// How much counts differ from shares: the cube root of χ²/(B − 1), which is nearly normal by chance.
  ///
  /// The population stability index of n values against m is Σ (o − e) ln (o/e). By chance its mean is
  /// (B − 1)(1/n + 1/m). Divided by 1/n + 1/m, it is distributed as χ² with B − 1 degrees of freedom. The cube root is
  /// that of Wilson and Hilferty 1931. Half a value is added to each bin, so that no share is 0.
  static func difference(_ counts: [Int], from shares: [Double], of known: Double) -> Double {
    let found = Double(counts.reduce(0, +))
    let (all, allKnown) = (found + Double(count) / 2, known + Double(count) / 2)
    var index = 0.0
    for (count, share) in zip(counts, shares) {
      let o = (Double(count) + 0.5) / all
      let e = (share * known + 0.5) / allKnown
      index += (o - e) * log(o / e)
    }
    return cbrt(index / (1 / found + 1 / known) / Double(count - 1))
  }
}

/// The counts of a batch in the bins, feature by feature.
struct DriftBinCounts: Sendable {
  private var counts: [Int] = []

  /// Counts the values of a batch, normalised by the running moments before it. A feature without a variance has none.
  mutating func count(
    _ summary: borrowing BatchSummary, means: [Double], variances: [Double]
  ) {
    let size = DriftBins.count * means.count
    if counts.count != size { counts = Array(repeating: 0, count: size) }
    for index in counts.indices { counts[index] = 0 }
    for j in means.indices where variances[j] > 0 {
      summary.count(
        feature: j, between: DriftBins.bounds, mean: means[j], deviation: variances[j].squareRoot(),
        into: &counts, from: j * DriftBins.count)
    }
  }

  /// The counts of a feature; empty if none were counted.
  subscript(feature: Int) -> ArraySlice<Int> {
    let start = feature * DriftBins.count
    return start < counts.count ? counts[start..<start + DriftBins.count] : []
  }
}

/// The known shares of the bins and the counts of open pools, as columns out of the table.
struct DriftShapes {
  private var shares: [Double]
  private var open: [Int]
  private let features: Int
  /// Those of the batch.
  private let counts: DriftBinCounts

  init(
    _ columns: DriftColumns, taking state: inout StateTable,
    _ counts: DriftBinCounts = DriftBinCounts()
  ) {
    features = state.features.count
    self.counts = counts
    shares = state.take(columns.share)
    open = state.take(columns.binned)
  }

  consuming func put(in state: inout StateTable, _ columns: DriftColumns) {
    state.put(shares, in: columns.share)
    state.put(open, in: columns.binned)
  }

  /// Adds the counts of the batch to the open pool of a feature.
  mutating func addBatch(of feature: Int) {
    for (bin, count) in counts[feature].enumerated() where count > 0 {
      open[bin * features + feature] += count
    }
  }

  /// Takes the counts of the open pool.
  mutating func takeOpen(of feature: Int) -> [Int] {
    (0..<DriftBins.count).map { bin in
      let row = bin * features + feature
      defer { open[row] = 0 }
      return open[row]
    }
  }

  /// Whether a feature has known shares.
  func isKnown(_ feature: Int) -> Bool {
    (0..<DriftBins.count).contains { shares[$0 * features + feature] > 0 }
  }

  func shares(of feature: Int) -> [Double] {
    (0..<DriftBins.count).map { shares[$0 * features + feature] }
  }

  /// Moves the shares towards the counts of a pool.
  mutating func learn(_ counts: [Int], of feature: Int, weight: Double) {
    let all = Double(counts.reduce(0, +))
    for (bin, count) in counts.enumerated() {
      let row = bin * features + feature
      shares[row] += weight * (Double(count) / all - shares[row])
    }
  }

  /// Copies the shares of a feature from another table.
  mutating func copy(_ feature: Int, from other: StateTable, _ columns: DriftColumns) {
    let known = other[columns.share]
    for bin in 0..<DriftBins.count {
      shares[bin * features + feature] = known[bin * features + feature]
    }
  }
}
