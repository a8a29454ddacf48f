package import Records

/// The settings of a synthetic stream. The same settings give the same bytes on every machine.
package struct SyntheticSettings: Sendable, Equatable {
  /// The number of records.
  package var rows = 100_000
  /// The number of features, named `f0`, `f1`, ….
  package var features = 8
  package var seed: UInt64 = 0
  package var format = SyntheticFormat.csv
  /// The share of values that are missing, 0…1.
  package var missingRatio = 0.01
  /// The standard deviation of the random walk of the mean in a day, in standard deviations of the feature, 0…1000.
  package var drift = 0.2
  /// The amplitude of the daily sine, in standard deviations of the feature, 0…1000.
  package var season = 1.0
  package var changes: [SyntheticChange] = []
  /// Digits after the decimal point, 0…9; binary formats hold the same rounded values.
  package var decimals = 3

  package init() {}

  /// - Throws: an error for the first setting that is out of its range.
  func validate() throws(SyntheticError) {
    guard rows >= 0 else { throw .outOfRange(setting: "rows", expected: "0 or more") }
    guard (1...1_000_000).contains(features) else {
      throw .outOfRange(setting: "features", expected: "1 to 1000000")
    }
    guard (0...1).contains(missingRatio) else {
      throw .outOfRange(setting: "missing ratio", expected: "0 to 1")
    }
    guard (0...1000).contains(drift) else {
      throw .outOfRange(setting: "drift", expected: "0 to 1000")
    }
    guard (0...1000).contains(season) else {
      throw .outOfRange(setting: "season", expected: "0 to 1000")
    }
    guard (0...9).contains(decimals) else {
      throw .outOfRange(setting: "decimals", expected: "0 to 9")
    }
    for change in changes {
      guard change.row >= 0 else {
        throw .outOfRange(setting: "row of change \(change.kind)", expected: "0 or more")
      }
      guard (0..<features).contains(change.feature) else {
        throw .outOfRange(
          setting: "feature of change \(change.kind)", expected: "an index below \(features)")
      }
    }
  }
}

/// The form of synthetic records.
package enum SyntheticFormat: Sendable, Equatable {
  /// A header line, a leading column `time`, an empty field for a missing value.
  case csv
  /// A leading member `time`, `null` for a missing value.
  case ndjson
  /// Little-endian floats, features only, NaN for a missing value.
  case raw(Precision)

  /// The names of the formats.
  package static let names = ["csv", "ndjson", "raw"]

  /// - Parameter precision: the width of raw floats.
  package init?(named name: String, precision: Precision) {
    switch name {
    case "csv": self = .csv
    case "ndjson": self = .ndjson
    case "raw": self = .raw(precision)
    default: return nil
    }
  }
}

/// A setting of a synthetic stream that cannot be used.
package enum SyntheticError: Error, Equatable, CustomStringConvertible {
  case outOfRange(setting: String, expected: String)

  package var description: String {
    switch self {
    case .outOfRange(let setting, let expected): "\(setting): expected \(expected)"
    }
  }
}
