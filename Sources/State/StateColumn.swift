/// One column of a state group: a number for each row of the group.
package struct StateColumn: Sendable, Equatable {
  package enum Kind: String, Sendable {
    /// A 64-bit floating-point number.
    case real
    /// An integer of at least 0.
    case count
  }

  /// The name within the group.
  package let name: String
  /// The name in files; unique in a table. `StateGroup` fills it in as `evenkeel.<group>.<name>` if
  /// the owner does not choose one.
  package internal(set) var fileName: String
  package let kind: Kind
  /// The value before the first batch.
  package let initial: Double
  /// The least and greatest values that are valid.
  package let bounds: ClosedRange<Double>
  /// Whether files leave the column out while it holds its initial values.
  package let isOptional: Bool
  /// Whether most often all features of a key have the same value, so that it is kept once.
  package let isShared: Bool

  /// The highest valid count: exact as a Double, and far from overflow as it grows.
  package static let countLimit = 1 << 53
  /// Every finite number.
  package static let finite = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
  /// Every finite number of 0 or more.
  package static let nonNegative = 0...Double.greatestFiniteMagnitude
  /// The values of a count, and of a sum of weights that counts values.
  package static let countable = 0...Double(countLimit)
  /// A time in whole microseconds since 1970: 1685 to 2255.
  package static let microseconds = -Double(countLimit)...Double(countLimit)

  package static func real(
    _ name: String, initial: Double, in bounds: ClosedRange<Double> = finite,
    fileName: String? = nil, isOptional: Bool = false, isShared: Bool = false
  ) -> StateColumn {
    StateColumn(
      name: name, fileName: fileName ?? "", kind: .real, initial: initial, bounds: bounds,
      isOptional: isOptional, isShared: isShared)
  }

  package static func count(
    _ name: String, initial: Int = 0, fileName: String? = nil
  ) -> StateColumn {
    StateColumn(
      name: name, fileName: fileName ?? "", kind: .count, initial: Double(initial),
      bounds: countable, isOptional: false, isShared: false)
  }

  /// The valid values in words, for an error message.
  package var expectation: String {
    switch bounds {
    case Self.finite: "a finite number"
    case Self.nonNegative: "a finite number of 0 or more"
    case Self.countable: "0 to 2^53"
    default: "\(bounds.lowerBound) to \(bounds.upperBound)"
    }
  }
}

/// The meaning of the rows of a group.
package enum StateScope: Sendable, Equatable {
  /// One row for the stream.
  case stream
  /// `slots` rows for the stream, such as the last few versions.
  case streamSlots(Int)
  /// One row for each feature.
  case feature
  /// `slots` rows for each feature, such as the bins of a histogram. All features of one slot are adjacent.
  case featureSlots(Int)
  /// One row for each key.
  case key
  /// One row for each key and feature. All features of one key are adjacent.
  case keyFeature

  /// The sizes of the dimensions of a column, outermost first; empty for a scalar.
  package func shape(features: Int, keys: Int) -> [Int] {
    switch self {
    case .stream: []
    case .streamSlots(let slots): [slots]
    case .feature: [features]
    case .featureSlots(let slots): [slots, features]
    case .key: [keys]
    case .keyFeature: [keys, features]
    }
  }

  /// Whether a column of this scope begins with the rows of an earlier one: it is the same, or has slots that were added.
  func extends(_ earlier: StateScope) -> Bool {
    switch (earlier, self) {
    case (.streamSlots(let fewer), .streamSlots(let slots)),
      (.featureSlots(let fewer), .featureSlots(let slots)):
      fewer <= slots
    default: earlier == self
    }
  }

  /// The number of rows.
  package func rowCount(features: Int, keys: Int) -> Int {
    shape(features: features, keys: keys).reduce(1, *)
  }

  /// Whether the innermost dimension of a column is that of the features.
  package var hasFeatures: Bool {
    switch self {
    case .feature, .featureSlots, .keyFeature: true
    case .stream, .streamSlots, .key: false
    }
  }

  /// Whether the outermost dimension of a column is that of the keys.
  package var hasKeys: Bool { self == .key || self == .keyFeature }

  /// The scope as files spell it: `stream`, `stream*8`, `feature`, `feature*2`, `key` or `key*feature`.
  package var text: String {
    switch self {
    case .stream: "stream"
    case .streamSlots(let slots): "stream*\(slots)"
    case .feature: "feature"
    case .featureSlots(let slots): "feature*\(slots)"
    case .key: "key"
    case .keyFeature: "key*feature"
    }
  }

  /// Reads what `text` wrote; nil for any other text.
  package init?(text: String) {
    switch text {
    case "stream": self = .stream
    case "feature": self = .feature
    case "key": self = .key
    case "key*feature": self = .keyFeature
    default:
      let parts = text.split(separator: "*", omittingEmptySubsequences: false)
      guard parts.count == 2, let slots = Int(parts[1]), slots > 0 else { return nil }
      switch parts[0] {
      case "stream": self = .streamSlots(slots)
      case "feature": self = .featureSlots(slots)
      default: return nil
      }
    }
  }
}
