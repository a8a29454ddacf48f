/// Features of a block that are written otherwise than by the numbers in its columns.
package struct UnnormalizedFeatures: Sendable, Equatable {
  package enum Form: Sendable {
    /// Their values are written as they were read, and stand so in the columns.
    case asRead
    /// Their values are written as missing, and are NaN in the columns.
    case missing
  }

  /// One a feature: whether it is one of them.
  package let features: [Bool]
  package let form: Form

  package init(_ features: [Bool], _ form: Form) {
    self.features = features
    self.form = form
  }
}
