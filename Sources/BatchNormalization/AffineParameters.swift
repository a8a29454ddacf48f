/// γ and β, one pair per feature; all finite, both of the same length.
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
  ///   that is not finite.
  package init(weight: [Double], bias: [Double]) throws(NormalizationError) {
    guard weight.count == bias.count else {
      throw .featureCount(of: "bias", expected: weight.count, found: bias.count)
    }
    try requireElements(of: "weight", weight, expected: "a finite number") { $0.isFinite }
    try requireElements(of: "bias", bias, expected: "a finite number") { $0.isFinite }
    self.weight = weight
    self.bias = bias
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
