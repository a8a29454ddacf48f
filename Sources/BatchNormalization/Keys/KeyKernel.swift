internal import CColumnKernel
internal import Records

// The Swift file that calls the C loops over the moments of keys. They give the same bits for every processor.

extension KeyedBatch {
  /// Plans the transforms of the keys of the batch.
  ///
  /// - Parameters:
  ///   - table: the moments of all keys, by their rows.
  ///   - factors: how much the weights of each key of the batch count now; NaN for a key without a say.
  ///   - whole: the moments of all records, for each feature; 0 for one that they do not normalise.
  ///   - prior: κ.
  mutating func plan(
    table: KeyMoments, factors: [Double], whole: KeyMoments, prior: Double,
    _ settings: NormalizationSettings, _ kernel: ColumnKernel = .best
  ) {
    let (width, instructions) = (gammas.count, kernel.instructions)
    let rule = KeyRule(settings, prior: prior)
    let count = factors.count * width
    resize(to: count)
    guard width > 0, table.weights.count >= width else { return }
    let (rows, gammas) = (rows, gammas)
    means.withUnsafeMutableBufferPointer { means in
      reaches.withUnsafeMutableBufferPointer { reaches in
        scales.withUnsafeMutableBufferPointer { scales in
          table.withPointers { first in
            whole.withPointers { whole in
              guard let means = means.baseAddress, let reaches = reaches.baseAddress,
                let scales = scales.baseAddress
              else { return }
              for (number, factor) in factors.enumerated() where !factor.isNaN {
                let (from, to) = (Int(rows[number]) * width, number * width)
                precondition(from >= 0 && from + width <= table.weights.count)
                key_plan(
                  instructions,
                  KeyRow(
                    weights: first.weights + from, means: first.means + from,
                    variances: first.variances + from), factor, whole, gammas, rule, width,
                  KeyTransforms(
                    centers: means + to, reaches: reaches + to, scales: scales + to))
              }
            }
          }
        }
      }
    }
  }
}

extension KeyMoments {
  /// Calls `body` with the pointers of the first row, if there is one.
  fileprivate func withPointers(_ body: (KeyRow) -> Void) {
    weights.withUnsafeBufferPointer { weights in
      means.withUnsafeBufferPointer { means in
        variances.withUnsafeBufferPointer { variances in
          guard let weights = weights.baseAddress, let means = means.baseAddress,
            let variances = variances.baseAddress
          else { return }
          body(KeyRow(weights: weights, means: means, variances: variances))
        }
      }
    }
  }

  /// Adds a value of each feature, of weight `added`, after the weights before it were multiplied by `kept`. A missing one
  /// changes nothing.
  ///
  /// Source: West 1979, "Updating Mean and Variance Estimates: An Improved Method".
  mutating func add(
    _ values: [Double], weight added: Double, keeping kept: Double, to key: Int,
    _ kernel: ColumnKernel = .best
  ) {
    let width = values.count
    precondition((key + 1) * width <= weights.count)
    weights.withUnsafeMutableBufferPointer { weights in
      means.withUnsafeMutableBufferPointer { means in
        variances.withUnsafeMutableBufferPointer { variances in
          guard let weights = weights.baseAddress, let means = means.baseAddress,
            let variances = variances.baseAddress
          else { return }
          let start = key * width
          key_add(
            kernel.instructions,
            MutableKeyRow(
              weights: weights + start, means: means + start, variances: variances + start),
            values, kept, added, width)
        }
      }
    }
  }
}

extension KeyMoments {
  /// Takes the moments of some rows of a table, in their order; those of nothing for a row of -1.
  mutating func take(_ rows: [Int], of table: KeyMoments, width: Int) {
    weights.take(rows, of: table.weights, width)
    means.take(rows, of: table.means, width)
    variances.take(rows, of: table.variances, width)
  }
}

extension [Double] {
  /// Takes rows of `width` elements, in their order; zeros for a row of -1.
  fileprivate mutating func take(_ rows: [Int], of table: [Double], _ width: Int) {
    let count = rows.count * width
    self = Array(unsafeUninitializedCapacity: count) { buffer, initialized in
      table.withUnsafeBufferPointer { table in
        guard let to = buffer.baseAddress else { return }
        for (place, row) in rows.enumerated() {
          let target = to + place * width
          if row >= 0, let from = table.baseAddress, (row + 1) * width <= table.count {
            target.initialize(from: from + row * width, count: width)
          } else {
            target.initialize(repeating: 0, count: width)
          }
        }
        initialized = count
      }
    }
  }

  /// Replaces rows of `width` elements by rows of another array.
  mutating func replaceRows(
    _ written: [(number: Int, row: Int)], by other: [Double], width: Int
  ) {
    withUnsafeMutableBufferPointer { table in
      other.withUnsafeBufferPointer { other in
        guard let to = table.baseAddress, let from = other.baseAddress else { return }
        for (number, row) in written {
          precondition((row + 1) * width <= table.count && (number + 1) * width <= other.count)
          (to + row * width).update(from: from + number * width, count: width)
        }
      }
    }
  }
}

extension FeatureColumns {
  /// Normalises the values of some records by the moments of their keys, and adds to `clipped` how many of each feature
  /// were limited.
  ///
  /// - Parameter features: the plans of all features.
  mutating func apply(
    _ batch: KeyedBatch, _ features: [FeaturePlan], to records: Range<Int>, isCentred: Bool,
    countingClipped clipped: inout [Int], _ kernel: ColumnKernel = .best
  ) {
    precondition(records.upperBound <= capacity && batch.numbers.count == records.count)
    let (capacity, width, instructions) = (capacity, batch.gammas.count, kernel.instructions)
    batch.means.withUnsafeBufferPointer { means in
      batch.reaches.withUnsafeBufferPointer { reaches in
        batch.scales.withUnsafeBufferPointer { scales in
          // The loops only read them.
          guard let means = UnsafeMutablePointer(mutating: means.baseAddress),
            let reaches = UnsafeMutablePointer(mutating: reaches.baseAddress),
            let scales = UnsafeMutablePointer(mutating: scales.baseAddress)
          else { return }
          for feature in features.indices where features[feature].isByKey {
            guard let whole = features[feature].transform.map(ColumnMap.init) else { continue }
            let keys = KeyTransforms(
              centers: means + feature, reaches: reaches + feature, scales: scales + feature)
            let first = feature * capacity + records.lowerBound
            let found =
              switch values {
              case .float32:
                withFloat32Columns {
                  $0.withUnsafeMutableBufferPointer { values in
                    values.baseAddress.map {
                      key_map_float(
                        instructions, $0 + first, records.count, batch.numbers, keys, width, whole,
                        isCentred)
                    }
                  }
                }
              case .float64:
                withFloat64Columns {
                  $0.withUnsafeMutableBufferPointer { values in
                    values.baseAddress.map {
                      key_map_double(
                        instructions, $0 + first, records.count, batch.numbers, keys, width, whole,
                        isCentred)
                    }
                  }
                }
              }
            clipped[feature] += Int(found ?? 0)
          }
        }
      }
    }
  }
}

extension KeyRule {
  fileprivate init(_ settings: NormalizationSettings, prior: Double) {
    let (share, added) =
      switch settings.epsilon {
      case .absolute(let epsilon): (0.0, epsilon)
      case .relative(let share): (share, 0.0)
      }
    self.init(
      prior: prior, epsilon_share: share, epsilon_added: added,
      variance_floor: settings.varianceFloor ?? 0, clip: settings.clip ?? .infinity,
      divides: settings.parts != .center)
  }
}
