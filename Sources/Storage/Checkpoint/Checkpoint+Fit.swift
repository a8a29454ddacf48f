package import Records
internal import State

extension Checkpoint {
  /// The differences between the checkpoint and a configuration, as lines for people. Empty if it fits.
  ///
  /// A setting that the checkpoint does not contain is not compared. An import contains none, and a setting of a
  /// later version had its default value.
  package func differences(
    fromFeatures expected: [String], settings expectedSettings: [String: String]
  ) -> [String] {
    var lines: [String] = []
    let (known, wanted) = (Set(features.asNames), Set(expected.asNames))
    let absent = expected.filter { !known.contains(Name($0)) }
    let extra = features.filter { !wanted.contains(Name($0)) }
    if !absent.isEmpty { lines.append("features: not in the checkpoint: \(listed(absent))") }
    if !extra.isEmpty { lines.append("features: only in the checkpoint: \(listed(extra))") }
    // As strings, such names are equal.
    if let name = Set(absent).intersection(extra).min() {
      lines.append(
        "features: \(quoted(name)) looks the same and is spelled in other bytes "
          + "(NFC and NFD of Unicode)")
    }
    if absent.isEmpty, extra.isEmpty {
      let moved = zip(expected, features).filter { !areSame($0, $1) }
      if let (name, found) = moved.first {
        lines.append(
          "features: \(moved.count) have another order, first expected \(quoted(name)), "
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

  /// The checkpoint for other features: features with known names keep their state, the others start with the initial
  /// state.
  package func matchedByName(to features: FeatureSchema) -> Checkpoint {
    var matched = Checkpoint(state.matched(to: features), settings: settings)
    matched.input = input
    return matched
  }
}
