extension Checkpoint {
  /// What keeps the checkpoint from going on under a configuration: one readable line a difference,
  /// none when it fits.
  ///
  /// A setting that the checkpoint does not name is not compared: an import knows none, and a
  /// setting that came later stood at its default.
  package func differences(
    fromFeatures expected: [String], settings expectedSettings: [String: String]
  ) -> [String] {
    var lines: [String] = []
    let (known, wanted) = (Set(features), Set(expected))
    let absent = expected.filter { !known.contains($0) }
    let extra = features.filter { !wanted.contains($0) }
    if !absent.isEmpty { lines.append("features: not in the checkpoint: \(listed(absent))") }
    if !extra.isEmpty { lines.append("features: only in the checkpoint: \(listed(extra))") }
    if absent.isEmpty, extra.isEmpty {
      let moved = zip(expected, features).filter { $0 != $1 }
      if let (name, found) = moved.first {
        lines.append(
          "features: \(moved.count) stand in another order, first expected \(quoted(name)), "
            + "found \(quoted(found))")
      }
    }
    for (name, found) in settings.sorted(by: { $0.key < $1.key }) {
      let expected = expectedSettings[name]
      if found != expected {
        lines.append("settings: \(name): expected \(expected ?? "none"), found \(found)")
      }
    }
    return lines
  }

  /// The checkpoint for other features: those of a known name go on, the others start afresh.
  package func matchedByName(to features: [String]) -> Checkpoint {
    var matched = Checkpoint(features: features, settings: settings)
    matched.batchesTracked = batchesTracked
    matched.position = position
    let indices = Dictionary(self.features.enumerated().map { ($1, $0) }) { first, _ in first }
    for (new, name) in features.enumerated() {
      guard let old = indices[name] else { continue }
      matched.weight[new] = weight[old]
      matched.bias[new] = bias[old]
      matched.runningMean[new] = runningMean[old]
      matched.runningVariance[new] = runningVariance[old]
      matched.values[new] = values[old]
      matched.batches[new] = batches[old]
      matched.varianceValues[new] = varianceValues[old]
      matched.varianceBatches[new] = varianceBatches[old]
      matched.missing[new] = missing[old]
      matched.clipped[new] = clipped[old]
    }
    return matched
  }
}
