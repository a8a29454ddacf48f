/// The choice of features by the program, which the user told none: the columns that it left out, and why.
package struct FeatureChoice: Sendable, Equatable, Codable {
  /// Why a column is no feature.
  package enum Reason: String, Sendable, Codable, CaseIterable {
    case excluded
    case notNumbers = "not_numbers"
    case notFloats = "not_floats"
    case noValue = "no_value"
    case constant
    case neverFalls = "never_falls"
    case neverRises = "never_rises"
    case lengthsDiffer = "lengths_differ"
    case mixed
    case nested

    /// In words, for a message.
    package var text: String {
      switch self {
      case .excluded: "excluded"
      case .notNumbers: "not numbers"
      case .notFloats: "not Float32 or Float64"
      case .noValue: "no value"
      case .constant: "a constant integer"
      case .neverFalls: "integers that never fall"
      case .neverRises: "integers that never rise"
      case .lengthsDiffer: "arrays of different lengths"
      case .nested: "arrays of arrays or objects"
      case .mixed: "numbers in some records, objects in others"
      }
    }
  }

  /// A column that is no feature.
  package struct LeftOut: Sendable, Equatable, Codable {
    package var name: String
    package var reason: Reason

    package init(_ name: String, because reason: Reason) {
      self.name = name
      self.reason = reason
    }
  }

  /// The records that were looked at, 0 if the types of a schema decided; nil if the features are those of a
  /// checkpoint.
  package var records: Int?
  package var leftOut: [LeftOut]

  package init(records: Int?, leftOut: [LeftOut]) {
    self.records = records
    self.leftOut = leftOut
  }

  enum CodingKeys: String, CodingKey {
    case records
    case leftOut = "left_out"
  }
}

extension StreamOpening {
  /// So many names stand in a message at most.
  private static let mostNames = 20

  /// The features that the program chose and the columns that it did not, in one line; nil if it had no choice.
  package var choiceText: String? {
    guard let choice else { return nil }
    var parts = ["features: \(Self.names(schema.names))"]
    let groups = Dictionary(grouping: choice.leftOut, by: \.reason)
    let left = FeatureChoice.Reason.allCases.compactMap { reason in
      groups[reason].map { "\(Self.names($0.map(\.name))) (\(reason.text))" }
    }
    if !left.isEmpty { parts.append("left out: \(left.joined(separator: ", "))") }
    parts.append(
      choice.records.map {
        "chosen by \($0 == 0 ? "the schema" : "\($0) record\($0 == 1 ? "" : "s")"); "
          + "--features and --exclude choose otherwise"
      } ?? "as in the checkpoint")
    return parts.joined(separator: "; ")
  }

  private static func names(_ names: [String]) -> String {
    guard !names.isEmpty else { return "none" }
    let shown = names.prefix(mostNames).joined(separator: ", ")
    return names.count > mostNames ? "\(shown) and \(names.count - mostNames) more" : shown
  }
}
