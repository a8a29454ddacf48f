/// A change of one feature of a synthetic stream, from one record on.
package struct SyntheticChange: Sendable, Equatable {
  package enum Kind: String, Sendable, CaseIterable {
    /// A device that reports °F in place of °C: x · 1.8 + 32. The feature is a temperature then, around 20 °C.
    case unit
    /// Every value is two deviations higher.
    case bias
    /// The sensor repeats its last value.
    case dead
    /// The noise grows: after 1,000 records it is twice as strong, after 9,000 ten times, and stays so.
    case noise
    /// The first 50 values of every 500 are missing.
    case missing
    /// Every 50th value is 50 deviations too high.
    case outliers
  }

  package var kind: Kind
  /// The first record that is changed, counted from 0.
  package var row: Int
  /// The index of the feature.
  package var feature: Int

  package init(_ kind: Kind, row: Int, feature: Int = 0) {
    self.kind = kind
    self.row = row
    self.feature = feature
  }

  /// Reads `KIND@ROW` or `KIND@ROW:FEATURE`, such as `bias@20000:f1`; nil for any other text.
  package init?(_ text: String) {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])) else { return nil }
    let place = parts[1].split(separator: ":", omittingEmptySubsequences: false)
    guard let row = Int(place[0]), row >= 0, place.count <= 2 else { return nil }
    var feature = 0
    if place.count == 2 {
      guard place[1].first == "f", let index = Int(place[1].dropFirst()), index >= 0 else {
        return nil
      }
      feature = index
    }
    self.init(kind, row: row, feature: feature)
  }

  package var text: String { "\(kind.rawValue)@\(row):f\(feature)" }
}
