internal import Records

/// γ and β, one pair per feature; none above `FeatureColumns.greatest` in size, both of the same length.
package struct AffineParameters: Sendable, Equatable {
  /// γ.
  package let weight: [Double]
  /// β.
  package let bias: [Double]

  /// γ = 1 and β = 0 for `count` features.
  package init(identity count: Int) {
    weight = Array(repeating: 1, count: count)
    bias = Array(repeating: 0, count: count)
  }

  /// - Throws: `NormalizationError.featureCount` when the lengths differ, `.element` for an element
  ///   that is not finite, or too great.
  package init(weight: [Double], bias: [Double]) throws(NormalizationError) {
    guard weight.count == bias.count else {
      throw .featureCount(of: "bias", expected: weight.count, found: bias.count)
    }
    let greatest = FeatureColumns.greatest
    for (name, elements) in [("weight", weight), ("bias", bias)] {
      try requireElements(
        of: name, elements, expected: "a number of at most \(greatest) in size"
      ) { abs($0) <= greatest }
    }
    self.weight = weight
    self.bias = bias
  }

  /// The pairs of some features, in the order of `expected`: by name if the names are known, else as they
  /// are.
  ///
  /// - Parameter allowsOthers: whether there may be pairs of other names, as in the file of a larger model.
  /// - Throws: as `init(weight:bias:)`; as `places`.
  package init(
    weight: [Double], bias: [Double], of names: [String]?, arrangedFor expected: [String],
    allowsOthers: Bool = true
  ) throws(NormalizationError) {
    let given = try AffineParameters(weight: weight, bias: bias)
    guard let names else {
      guard given.featureCount == expected.count else {
        throw .featureCount(
          of: "weight and bias", expected: expected.count, found: given.featureCount)
      }
      self = given
      return
    }
    guard names.count == given.featureCount else {
      throw .featureCount(of: "features", expected: given.featureCount, found: names.count)
    }
    let chosen = try Self.places(of: expected, among: names, allowsOthers: allowsOthers)
    self.weight = chosen.map { weight[$0] }
    self.bias = chosen.map { bias[$0] }
  }

  /// The index of each expected feature among some names.
  ///
  /// - Throws: `NormalizationError.absentFeatures` if names are missing, `.surplusFeatures` if one is there twice, or
  ///   is another.
  package static func places(
    of expected: [String], among names: [String], allowsOthers: Bool = false
  ) throws(NormalizationError) -> [Int] {
    let indices = Dictionary(zip(names, names.indices)) { first, _ in first }
    let absent = expected.filter { indices[$0] == nil }
    guard absent.isEmpty else { throw .absentFeatures(absent) }
    let wanted = Set(expected)
    let surplus = names.indices.filter {
      indices[names[$0]] != $0 || !allowsOthers && !wanted.contains(names[$0])
    }
    guard surplus.isEmpty else { throw .surplusFeatures(surplus.map { names[$0] }) }
    return expected.compactMap { indices[$0] }
  }

  package var featureCount: Int { weight.count }
}

/// Throws `NormalizationError.element` for the first element that does not hold.
func requireElements<Element: CustomStringConvertible>(
  of subject: String, _ elements: [Element], expected: String, holds: (Element) -> Bool
) throws(NormalizationError) {
  if let index = elements.firstIndex(where: { !holds($0) }) {
    throw .element(
      of: subject, index: index, expected: expected, found: elements[index].description)
  }
}
