package import State

/// The classes of a stream's records. Their moments are mixed by priors, and not by how often each comes just now.
package struct ClassSettings: Sendable, Equatable {
  /// The column with the class of each record.
  package var column: String
  /// The prior of each class; empty if all classes that come have the same.
  package var shares: [ClassShare]

  package init(column: String, shares: [ClassShare] = []) {
    (self.column, self.shares) = (column, shares)
  }

  /// The most classes. For one more, the class that was used the longest ago goes.
  package static let most = 1000

  /// The keys that classes are: each has moments of its own, and none has those of all records as a prior.
  func keys(featureCount: Int) -> KeySettings {
    var keys = KeySettings(columns: [column])
    keys.prior = 0
    keys.most = max(1, min(Self.most, KeyedMoments.mostMoments / max(1, featureCount)))
    return keys
  }

  /// The prior of each class of a table, by its row, as a number that need not add up to 1.
  fileprivate func shares(of names: KeyNames) -> [Double] {
    guard !shares.isEmpty else { return Array(repeating: 1, count: names.count) }
    let pairs = shares.map { (Array($0.name.utf8)[...], $0.share) }
    let known = Dictionary(pairs) { first, _ in first }
    return (0..<names.count).map { known[names[$0]] ?? 0 }
  }
}

/// The prior of one class.
package struct ClassShare: Sendable, Equatable {
  package var name: String
  /// Above 0. Those of all classes need not add up to 1.
  package var share: Double

  package init(name: String, share: Double) {
    (self.name, self.share) = (name, share)
  }
}

extension StateTable {
  /// Makes the running moments those of all classes together, each with its prior:
  ///
  ///     μ = Σ π μ_c,  σ² = Σ π (σ_c² + (μ_c − μ)²),  Σ π = 1
  ///
  /// The sums are over the classes with a value of the feature. A feature without one keeps its moments.
  ///
  /// Source: the laws of total expectation and total variance, for instance Grimmett & Stirzaker 2001, "Probability and
  /// Random Processes", section 3.7.
  package mutating func mixClasses(_ classes: ClassSettings) {
    let columns = NormalizerColumns(in: self)
    mixClasses(classes, columns)
  }

  mutating func mixClasses(_ classes: ClassSettings, _ columns: NormalizerColumns) {
    let shares = classes.shares(of: keys)
    var (mean, variance) = (take(columns.mean), take(columns.variance))
    for j in mean.indices {
      var mixed = (share: 0.0, mean: 0.0)
      for (row, share) in shares.enumerated() where share > 0 && hasValues(row, j, columns.keys) {
        mixed.share += share
        // Exactly the mean of the classes if they have the same.
        let distance = number(columns.keys.mean, row: row, feature: j) - mixed.mean
        mixed.mean += share / mixed.share * distance
      }
      guard mixed.share > 0 else { continue }
      var total = 0.0
      for (row, share) in shares.enumerated() where share > 0 && hasValues(row, j, columns.keys) {
        let distance = number(columns.keys.mean, row: row, feature: j) - mixed.mean
        let square = number(columns.keys.variance, row: row, feature: j) + distance * distance
        total += share / mixed.share * square
      }
      (mean[j], variance[j]) = (mixed.mean, total)
    }
    put(mean, in: columns.mean)
    put(variance, in: columns.variance)
  }

  private func hasValues(_ row: Int, _ feature: Int, _ columns: KeyColumns) -> Bool {
    number(columns.weight, row: row, feature: feature) > 0
  }
}
