internal import CColumnKernel
internal import Records

// The Swift file that calls the C loops over the moments of keys. They give the same bits for every processor.

extension KeyedBatch {
  /// Plans the transforms of the keys of the batch.
  ///
  /// - Parameters:
  ///   - factors: how much the weights of each key of the batch count now; NaN for a key without a say.
  ///   - whole: the moments of all records, for each feature; 0 for one that they do not normalise.
  ///   - prior: κ.
  mutating func plan(
    factors: [Double], whole: WholeMoments, prior: Double, _ settings: NormalizationSettings,
    _ kernel: ColumnKernel = .best
  ) {
    let (width, instructions) = (gammas.count, kernel.instructions)
    let rule = KeyRule(settings, prior: prior)
    resize(to: factors.count * width)
    guard width > 0 else { return }
    precondition(
      factors.count * copies.stride <= copies.numbers.count && whole.means.count == width
        && whole.variances.count == width
        && (whole.leastMeans.isEmpty || whole.greatestVariances.count == width))
    let (copies, gammas) = (copies, gammas)
    means.withUnsafeMutableBufferPointer { means in
      reaches.withUnsafeMutableBufferPointer { reaches in
        scales.withUnsafeMutableBufferPointer { scales in
          copies.numbers.withUnsafeBufferPointer { numbers in
            whole.withRow { whole, bounds in
              guard let means = means.baseAddress, let reaches = reaches.baseAddress,
                let scales = scales.baseAddress, let first = numbers.baseAddress
              else { return }
              for (number, factor) in factors.enumerated() {
                let (row, to) = (first + number * copies.stride, number * width)
                if factor.isNaN {
                  (scales + to).update(repeating: .nan, count: width)
                  continue
                }
                key_plan(
                  instructions,
                  KeyRow(
                    weights: row + copies.weights, means: row + copies.means,
                    variances: row + copies.variances, shares_weight: !copies.isSpread),
                  factor, whole, bounds, gammas, rule, width,
                  KeyTransforms(centers: means + to, reaches: reaches + to, scales: scales + to))
              }
            }
          }
        }
      }
    }
  }

  /// Adds the values of a record to the moments of its key, with weight `added`, after the weights before it were
  /// multiplied by `kept`. A missing one changes nothing; there is none unless the copies are spread.
  ///
  /// Source: West 1979, "Updating Mean and Variance Estimates: An Improved Method".
  ///
  /// - Parameter offset: the place of the record in the batch.
  mutating func add(
    _ offset: Int, weight added: Double, keeping kept: Double, to key: Int,
    _ kernel: ColumnKernel = .best
  ) {
    let width = gammas.count
    let (weights, firstMean, firstVariance) = (copies.weights, copies.means, copies.variances)
    let (start, sharesWeight) = (key * copies.stride, !copies.isSpread)
    precondition(
      start + copies.stride <= copies.numbers.count && (offset + 1) * width <= values.count)
    values.withUnsafeBufferPointer { values in
      copies.numbers.withUnsafeMutableBufferPointer { numbers in
        guard let first = numbers.baseAddress, let values = values.baseAddress else { return }
        let row = first + start
        key_add(
          kernel.instructions,
          MutableKeyRow(
            weights: row + weights, means: row + firstMean, variances: row + firstVariance,
            shares_weight: sharesWeight),
          values + offset * width, kept, added, width)
      }
    }
  }

  /// The keys that are judged by their values in the batch, for each feature, and then those that are away from their own
  /// moments.
  ///
  /// - Parameter numbers: the key of each record; -1 for a record that counts for nothing.
  func deviations(of numbers: [Int32], width: Int, _ kernel: ColumnKernel) -> [Double] {
    var found = Array(repeating: 0.0, count: 2 * width)
    guard width > 0, count > 0 else { return found }
    precondition(
      numbers.count * width <= values.count && count * copies.stride <= copies.numbers.count)
    var sums = Array(repeating: 0.0, count: 2 * count * width)
    let size = count * width
    sums.withUnsafeMutableBufferPointer { sums in
      found.withUnsafeMutableBufferPointer { found in
        values.withUnsafeBufferPointer { values in
          copies.numbers.withUnsafeBufferPointer { copied in
            guard let sums = sums.baseAddress, let found = found.baseAddress,
              let values = values.baseAddress, let first = copied.baseAddress
            else { return }
            key_sums(kernel.instructions, values, numbers, numbers.count, width, sums, sums + size)
            for key in 0..<count {
              let row = first + key * copies.stride
              key_away(
                kernel.instructions,
                KeyRow(
                  weights: row + copies.weights, means: row + copies.means,
                  variances: row + copies.variances, shares_weight: !copies.isSpread),
                sums + key * width, sums + size + key * width, KeyDeviations.leastWeight,
                KeyDeviations.reach * KeyDeviations.reach, width, found, found + width)
            }
          }
        }
      }
    }
    return found
  }

  /// Takes the values of some records, record by record.
  mutating func takeValues(
    _ columns: FeatureColumns, _ records: Range<Int>, _ kernel: ColumnKernel = .best
  ) {
    let (width, capacity, count) = (columns.featureCount, columns.capacity, records.count)
    if values.count < count * width {
      values = Array(repeating: 0, count: count * width)
    }
    guard count > 0, width > 0 else { return }
    precondition(records.upperBound <= capacity)
    values.withUnsafeMutableBufferPointer { rows in
      guard let rows = rows.baseAddress else { return }
      switch columns.values {
      case .float32(let values):
        precondition(width * capacity <= values.count)
        values.withUnsafeBufferPointer { values in
          guard let first = values.baseAddress else { return }
          key_rows_float(
            kernel.instructions, first + records.lowerBound, capacity, count, width, rows)
        }
      case .float64(let values):
        precondition(width * capacity <= values.count)
        values.withUnsafeBufferPointer { values in
          guard let first = values.baseAddress else { return }
          key_rows_double(
            kernel.instructions, first + records.lowerBound, capacity, count, width, rows)
        }
      }
    }
  }
}

extension WholeMoments {
  /// Calls `body` with the moments as a row, the weights of which nothing reads, and the bounds; nil without a limit.
  fileprivate func withRow(_ body: (KeyRow, UnsafePointer<KeyBounds>?) -> Void) {
    means.withUnsafeBufferPointer { means in
      variances.withUnsafeBufferPointer { variances in
        guard let means = means.baseAddress, let variances = variances.baseAddress else { return }
        let row = KeyRow(weights: means, means: means, variances: variances, shares_weight: false)
        withBounds { body(row, $0) }
      }
    }
  }

  private func withBounds(_ body: (UnsafePointer<KeyBounds>?) -> Void) {
    leastMeans.withUnsafeBufferPointer { leastMeans in
      greatestMeans.withUnsafeBufferPointer { greatestMeans in
        leastVariances.withUnsafeBufferPointer { leastVariances in
          greatestVariances.withUnsafeBufferPointer { greatestVariances in
            guard !leastMeans.isEmpty, let leastMeans = leastMeans.baseAddress,
              let greatestMeans = greatestMeans.baseAddress,
              let leastVariances = leastVariances.baseAddress,
              let greatestVariances = greatestVariances.baseAddress
            else { return body(nil) }
            let bounds = KeyBounds(
              least_means: leastMeans, greatest_means: greatestMeans,
              least_variances: leastVariances, greatest_variances: greatestVariances)
            withUnsafePointer(to: bounds, body)
          }
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
    let (capacity, width, instructions) = (capacity, batch.gammas.count, kernel.instructions)
    guard features.contains(where: { $0.isByKey && $0.transform != nil }) else { return }
    precondition(
      records.upperBound <= capacity && batch.numbers.count == records.count
        && width == features.count && batch.scales.count >= batch.count * width)
    let isByKey = features.map { $0.isByKey && $0.transform != nil }
    let wholes = features.map { $0.transform.map(ColumnMap.init) ?? ColumnMap() }
    var limited = Array(repeating: Int64(0), count: width)
    batch.means.withUnsafeBufferPointer { means in
      batch.reaches.withUnsafeBufferPointer { reaches in
        batch.scales.withUnsafeBufferPointer { scales in
          // The loops only read them. Without a known key there is none, and nothing is read.
          guard let means = UnsafeMutablePointer(mutating: means.baseAddress),
            let reaches = UnsafeMutablePointer(mutating: reaches.baseAddress),
            let scales = UnsafeMutablePointer(mutating: scales.baseAddress)
          else { return }
          let keys = KeyTransforms(centers: means, reaches: reaches, scales: scales)
          switch values {
          case .float32:
            withFloat32Columns {
              precondition(width * capacity <= $0.count)
              $0.withUnsafeMutableBufferPointer { values in
                guard let first = values.baseAddress else { return }
                key_map_float(
                  instructions, first + records.lowerBound, capacity, records.count, batch.numbers,
                  keys, width, wholes, isByKey, isCentred, &limited)
              }
            }
          case .float64:
            withFloat64Columns {
              precondition(width * capacity <= $0.count)
              $0.withUnsafeMutableBufferPointer { values in
                guard let first = values.baseAddress else { return }
                key_map_double(
                  instructions, first + records.lowerBound, capacity, records.count, batch.numbers,
                  keys, width, wholes, isByKey, isCentred, &limited)
              }
            }
          }
        }
      }
    }
    for (feature, count) in limited.enumerated() where count > 0 { clipped[feature] += Int(count) }
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
