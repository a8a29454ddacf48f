internal import Records
internal import State

/// Moments of another tool as JSON: `{"features": […], "mean": […], "variance": […], "count": n}`.
///
/// docs/CHECKPOINTS.md has recipes that write it for Keras, scikit-learn, River and Stable-Baselines3.
struct StatisticsJSON: Decodable {
  private enum CodingKeys: String, CodingKey {
    case features, mean, variance, count, weight, bias, epsilon
  }

  /// The members with a number a feature, and the columns of the state that they become.
  private static let vectors: [(member: CodingKeys, column: String, isRequired: Bool)] = [
    (.mean, "running_mean", true), (.variance, "running_var", true), (.weight, "weight", false),
    (.bias, "bias", false),
  ]
  /// Values in a batch, if nobody says; as many as the default of `batch.size`.
  private static let valuesPerBatch = 256
  /// Larger counts are no whole numbers as Double.
  private static let greatestCount = 0x1p53

  private let features: [String]?
  /// By the column of the state.
  private var columns: [String: [Double]] = [:]
  /// The values that the moments are of: one number for all features, or one of each.
  private let counts: [Double]
  private let epsilon: Double?

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    features = try members.decodeIfPresent([String].self, forKey: .features)
    epsilon = try members.decodeIfPresent(Double.self, forKey: .epsilon)
    for (member, column, isRequired) in Self.vectors
    where isRequired || members.contains(member) {
      columns[column] = try members.decode([Double].self, forKey: member)
    }
    if let each = try? members.decode([Double].self, forKey: .count) {
      counts = each
    } else {
      counts = [try members.decode(Double.self, forKey: .count)]
    }
  }

  /// The state with these moments. A count of n is that of n / 256 batches, or of n / `valuesPerBatch`.
  func checkpoint(_ options: ImportOptions) throws(ContentError) -> Checkpoint {
    let featureCount = columns["running_mean"]?.count ?? 0
    let names = options.features ?? features ?? FeatureSchema.unnamed(count: featureCount)
    var state = StateTable(options.groups, features: try FeatureSchema(named: names))
    for (member, column, _) in Self.vectors {
      guard let values = columns[column] else { continue }
      state[real: column] = try oneEach(values, of: names, member)
    }
    let all = counts.count == 1 ? names.map { _ in counts[0] } : counts
    let values = try oneEach(all, of: names, .count)
    // Some libraries start their counts at a fraction, so a count need not be whole.
    if let wrong = values.first(where: { !(1...Self.greatestCount).contains($0) }) {
      throw .unexpected(
        part: "'count' in the file", expected: "counts from 1 to 2^53", found: "\(wrong)")
    }
    let perBatch = options.valuesPerBatch > 0 ? options.valuesPerBatch : Self.valuesPerBatch
    state.setCounts(batches: values.map { max(1, Int($0) / perBatch) }, values: values)
    let epsilon = options.epsilon ?? epsilon
    return Checkpoint(state, settings: epsilon.map { ["epsilon": "\($0)"] } ?? [:])
  }

  private func oneEach(
    _ values: [Double], of names: [String], _ member: CodingKeys
  ) throws(ContentError) -> [Double] {
    guard values.count == names.count else {
      throw .unexpected(
        part: "'\(member.rawValue)' in the file",
        expected: "\(names.count) number\(names.count == 1 ? "" : "s"), one a feature",
        found: "\(values.count)")
    }
    return values
  }
}

extension StateTable {
  /// Sets what the moments of another tool count as: so many batches, and values, of each feature.
  mutating func setCounts(batches: [Int], values: [Double]) {
    self[count: "num_batches_tracked"] = [batches.max() ?? 0]
    for moment in ["", "variance_"] {
      self[count: "evenkeel.moments.\(moment)batches"] = batches
      self[real: "evenkeel.moments.\(moment)weight"] = values
    }
  }
}
