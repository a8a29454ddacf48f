internal import BatchNormalization
internal import Records
internal import State

/// The body of the update `gradients`, in the order of the features or by name.
package struct GradientsBody: UpdateBody {
  /// The numbers that a trainer computed.
  package enum Content: Sendable, Equatable {
    /// ∂L/∂γ and ∂L/∂β, one element a feature. One that is not finite stands for an element that is no number.
    case sums(weight: [Double], bias: [Double])
    /// y and ∂L/∂y, one row a record. NaN stands for a y that is missing.
    case rows(y: [[Double]], gradients: [[Double]])
  }

  /// The version of γ and β for which they were computed.
  package var version: Int
  /// The examples that they came from.
  package var count: Int?
  package var content: Content
  package var features: [String]?
  /// Whether a record of gradients is replayed, so that frozen γ and β take them too.
  package var isReplayed = false

  package static let members = CodingKeys.allCases.map(\.rawValue)
  package static let addsUp = true

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case version, count
    case weightGradients = "weight_grad"
    case biasGradients = "bias_grad"
    case y
    case yGradients = "y_grad"
    case features
  }

  package init(version: Int, count: Int? = nil, _ content: Content, features: [String]? = nil) {
    self.version = version
    self.count = count
    self.content = content
    self.features = features
  }

  package init(
    version: Int, count: Int? = nil, weight: [Double], bias: [Double], features: [String]? = nil
  ) {
    self.init(version: version, count: count, .sums(weight: weight, bias: bias), features: features)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    version = try container.decode(Int.self, forKey: .version)
    count = try container.decodeIfPresent(Int.self, forKey: .count)
    func rows(_ key: CodingKeys) throws -> [[Double]] {
      try container.decode([[Element]].self, forKey: key).map { $0.map(\.value) }
    }
    let hasSums = container.contains(.weightGradients) || container.contains(.biasGradients)
    if container.contains(.y) || container.contains(.yGradients) {
      guard !hasSums else {
        throw UpdateBodyError(
          "expected weight_grad and bias_grad, or y and y_grad, found members of both")
      }
      content = .rows(y: try rows(.y), gradients: try rows(.yGradients))
    } else {
      func numbers(_ key: CodingKeys) throws -> [Double] {
        // Most have only numbers, which are read in a fraction of the time.
        if let numbers = try? container.decode([Double].self, forKey: key) { return numbers }
        return try container.decode([Element].self, forKey: key).map(\.value)
      }
      content = .sums(
        weight: try numbers(.weightGradients), bias: try numbers(.biasGradients))
    }
    features = try container.decodeIfPresent([String].self, forKey: .features)
    if let count, !(0...StateColumn.countLimit).contains(count) {
      throw UpdateBodyError("count: expected a whole number from 0 to 2^53")
    }
  }

  /// A number, or a form in which programs write one that is not finite: null, "NaN", "-Infinity".
  private struct Element: Decodable {
    let value: Double

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      do {
        value = try container.decode(Double.self)
      } catch {
        if container.decodeNil() {
          value = .nan
        } else if let word = (try? container.decode(String.self)).flatMap({ Double($0) }),
          !word.isFinite
        {
          value = word
        } else {
          throw error
        }
      }
    }
  }

  /// The number of rows; nil if the trainer has summed them.
  var rowCount: Int? { if case .rows(let y, _) = content { y.count } else { nil } }

  /// The gradients in the order of a stream's features.
  ///
  /// - Parameters:
  ///   - weight: γ of the version for which they were computed, in the order of `names`.
  ///   - bias: β of that version.
  func gradients(
    for names: [String], weight: [Double], bias: [Double]
  ) throws(UnusableBody) -> AffineGradients {
    let given = features ?? names
    switch content {
    case .sums(let weights, let biases):
      for (member, elements) in [("weight_grad", weights), ("bias_grad", biases)] {
        try Self.require(given.count, member, elements)
        for j in elements.indices { try Self.require(elements[j], "\(member) of", given[j]) }
      }
      guard features != nil else { return AffineGradients(weight: weights, bias: biases) }
      let places = try places(of: names, among: given)
      return AffineGradients(
        weight: places.map { weights[$0] }, bias: places.map { biases[$0] })
    case .rows(let y, let gradients):
      guard !y.isEmpty, y.count == gradients.count else {
        throw UnusableBody(
          "y and y_grad: expected the same number of rows, and at least one, found \(y.count) and "
            + "\(gradients.count)")
      }
      for row in y.indices {
        try Self.require(given.count, "row \(row + 1) of y", y[row])
        try Self.require(given.count, "row \(row + 1) of y_grad", gradients[row])
      }
      let places = try places(of: names, among: given)
      var sums = AffineGradients(weight: [], bias: [])
      for (j, place) in places.enumerated() {
        let sum = try sum(
          y, gradients, at: place, named: names[j], weight: weight[j], bias: bias[j])
        sums.weightGradients.append(sum.weight)
        sums.biasGradients.append(sum.bias)
      }
      return sums
    }
  }

  /// The gradients of γ and β of one feature, over the rows in which it is present (Ioffe & Szegedy 2015, section 3).
  ///
  ///     ∂L/∂γ = Σ ∂L/∂y · x̂,  ∂L/∂β = Σ ∂L/∂y,  x̂ = (y − β) / γ
  private func sum(
    _ y: [[Double]], _ gradients: [[Double]], at place: Int, named name: String, weight: Double,
    bias: Double
  ) throws(UnusableBody) -> (weight: Double, bias: Double) {
    var sum = (weight: 0.0, bias: 0.0)
    for row in y.indices {
      let (value, gradient) = (y[row][place], gradients[row][place])
      if value.isNaN { continue }
      try Self.require(value, "row \(row + 1) of y:", name)
      try Self.require(gradient, "row \(row + 1) of y_grad:", name)
      if gradient == 0 { continue }
      guard weight != 0 else {
        throw UnusableBody(
          "y of feature \(quoted(name)): expected the weight of version \(version) to be known and not 0; "
            + "send weight_grad and bias_grad")
      }
      sum.weight += gradient * ((value - bias) / weight)
      sum.bias += gradient
    }
    try Self.require(sum.weight, "the sum of y_grad · x̂ of", name)
    try Self.require(sum.bias, "the sum of y_grad of", name)
    return sum
  }

  private static func require(
    _ count: Int, _ member: String, _ elements: [Double]
  ) throws(UnusableBody) {
    guard elements.count == count else {
      throw UnusableBody(
        "\(member): expected \(count) numbers, one a feature, found \(elements.count)")
    }
  }

  private static func require(
    _ element: Double, _ member: @autoclosure () -> String, _ name: String
  ) throws(UnusableBody) {
    guard abs(element) <= FeatureColumns.greatest else {
      throw UnusableBody(
        "\(member()) feature \(quoted(name)): expected a finite number of at most "
          + "\(FeatureColumns.greatest) in size, found \(element)")
    }
  }

  private func places(
    of names: [String], among given: [String]
  ) throws(UnusableBody) -> [Int] {
    guard features != nil else { return Array(names.indices) }
    do throws(NormalizationError) {
      return try AffineParameters.places(of: names, among: given)
    } catch {
      throw UnusableBody("\(error)")
    }
  }
}
