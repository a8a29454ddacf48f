/// The values of a mini-batch, column by column: one column for each feature, one row for each record.
///
/// A missing value is NaN. No |value| is above `greatest`. The value of feature `j` in record `i` is at `values[j *
/// capacity + i]`.
package struct FeatureColumns: Sendable {
  /// The greatest |x| of a value. A greater one is invalid input: the moments of values up to here cannot overflow.
  package static let greatest = 1e100

  /// Column-major values, with the width of the input: Double for text, the width of the floats for raw input.
  package enum Values: Sendable {
    case float32([Float])
    case float64([Double])
  }

  /// d, the number of columns.
  package let featureCount: Int
  /// The most records that fit, which is the distance between two columns.
  package let capacity: Int
  /// The number of records in the batch.
  package var count: Int
  package var values: Values
  /// The numbers of the role columns, beside those of the features.
  package var roles = RoleNumbers()

  /// An empty batch of `featureCount` columns with room for `capacity` records.
  package init(featureCount: Int, capacity: Int, precision: Precision) {
    self.featureCount = featureCount
    self.capacity = capacity
    self.count = 0
    switch precision {
    case .float32: values = .float32(Array(repeating: 0, count: featureCount * capacity))
    case .float64: values = .float64(Array(repeating: 0, count: featureCount * capacity))
    }
  }

  /// The size of the columns in bytes, used or not.
  package var byteCount: Int {
    switch values {
    case .float32(let values): values.count * MemoryLayout<Float>.stride + roles.byteCount
    case .float64(let values): values.count * MemoryLayout<Double>.stride + roles.byteCount
    }
  }

  /// The width of the columns.
  package var precision: Precision {
    switch values {
    case .float32: .float32
    case .float64: .float64
    }
  }

  /// Changes Double columns in place. Traps if they are Float.
  @inline(__always)
  package mutating func withFloat64Columns<Result, Failure: Error>(
    _ body: (inout [Double]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard case .float64(var moved) = values else { preconditionFailure("Float columns") }
    // Moved out, so that the array has one owner while it changes.
    values = .float64([])
    defer { values = .float64(moved) }
    return try body(&moved)
  }

  /// Changes Float columns in place. Traps if they are Double.
  @inline(__always)
  package mutating func withFloat32Columns<Result, Failure: Error>(
    _ body: (inout [Float]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard case .float32(var moved) = values else { preconditionFailure("Double columns") }
    values = .float32([])
    defer { values = .float32(moved) }
    return try body(&moved)
  }

  /// One value, for callers that need not be fast.
  package subscript(record record: Int, feature feature: Int) -> Double {
    switch values {
    case .float32(let values): Double(values[feature * capacity + record])
    case .float64(let values): values[feature * capacity + record]
    }
  }

  /// Makes one value missing.
  package mutating func setMissing(record: Int, feature: Int) {
    let cell = feature * capacity + record
    switch precision {
    case .float32: withFloat32Columns { $0[cell] = .nan }
    case .float64: withFloat64Columns { $0[cell] = .nan }
    }
  }

  /// Makes all values of a record missing.
  package mutating func setMissing(record: Int) {
    for feature in 0..<featureCount { setMissing(record: record, feature: feature) }
  }
}

/// The width of a floating-point number, in a batch, in raw rows and in the output.
package enum Precision: String, Sendable, CaseIterable {
  case float32
  case float64

  /// The size of one number in bytes.
  package var byteCount: Int { self == .float32 ? 4 : 8 }
}
