internal import Records
internal import State

/// The keys of one batch: which record is of which, how each is normalised, and its moments after the batch.
///
/// Its memory is used again for the next batch.
struct KeyedBatch: Sendable {
  /// The key of each record, as a number among the keys of the batch; -1 if the record has none that is usable.
  private(set) var numbers: [Int32] = []
  /// The names of the keys, in the order in which the batch has them.
  private(set) var names = KeyNames()
  private(set) var hashes: [UInt64] = []
  /// The row of each key in the table; -1 if it is not known.
  private(set) var rows: [Int32] = []
  /// The place of the last record of each key among those of the batch.
  private(set) var lastUses: [Int] = []
  private var index = KeyIndex()

  /// γ of each feature.
  var gammas: [Double] = []
  /// For each key and feature: μ̂, the greatest distance from it, and γ / σ̂. A scale of NaN stands for the transform of
  /// all records.
  var means: [Double] = []
  var reaches: [Double] = []
  var scales: [Double] = []

  /// The numbers of each key: copies of the rows of the table, and then as they are after the batch.
  var copies = KeyCopies()
  /// The row that each is a copy of; -1 if it has the initial values.
  var copied: [Int32] = []
  /// x of each record and feature, record by record.
  var values: [Double] = []
  /// The newest event time of the records, with a key or without; 0 without event times.
  var newest = 0.0
  /// The keys that are away from their own moments; nil unless an operator counts them.
  var deviations: KeyDeviations?

  var count: Int { names.count }

  /// Makes room for so many transforms.
  mutating func resize(to count: Int) {
    let added = max(0, count - scales.count)
    scales.append(contentsOf: repeatElement(.nan, count: added))
    means.append(contentsOf: repeatElement(0, count: added))
    reaches.append(contentsOf: repeatElement(0, count: added))
  }

  /// Finds the keys of some records among each other, and then in a table.
  ///
  /// - Parameters:
  ///   - known: the names of the table, by its rows.
  mutating func gather(
    _ keys: KeyBytes, _ records: Range<Int>, in table: KeyIndex, _ known: KeyNames
  ) {
    forget()
    for (offset, record) in records.enumerated() {
      let name = keys[record]
      guard !name.isEmpty else {
        numbers.append(-1)
        continue
      }
      let number = index.number(of: name, &names, &hashes)
      if number == lastUses.count { lastUses.append(offset) } else { lastUses[number] = offset }
      numbers.append(Int32(number))
    }
    table.find(hashes, names, in: known, rows: &rows)
  }

  mutating func forget() {
    numbers.removeAll(keepingCapacity: true)
    names.removeAll()
    hashes.removeAll(keepingCapacity: true)
    rows.removeAll(keepingCapacity: true)
    lastUses.removeAll(keepingCapacity: true)
    index.removeAll()
    newest = 0
    deviations = nil
  }

  /// The records without a usable key, and those whose key is not known.
  var uncounted: (unusable: Int, unknown: Int) {
    var (unusable, unknown) = (0, 0)
    for number in numbers {
      if number < 0 { unusable += 1 } else if rows[Int(number)] < 0 { unknown += 1 }
    }
    return (unusable, unknown)
  }
}

/// The moments of all records: for each feature μ and σ²; and the bounds of a limit, which hold those of keys too.
struct WholeMoments: Sendable {
  var means: [Double] = []
  var variances: [Double] = []
  /// Empty without a limit.
  var leastMeans: [Double] = []
  var greatestMeans: [Double] = []
  var leastVariances: [Double] = []
  var greatestVariances: [Double] = []

  /// Adds the bounds of one more feature; nil is none.
  mutating func append(_ bounds: MomentBounds?) {
    leastMeans.append(bounds?.mean.lowerBound ?? -.infinity)
    greatestMeans.append(bounds?.mean.upperBound ?? .infinity)
    leastVariances.append(bounds?.variance.lowerBound ?? 0)
    greatestVariances.append(bounds?.variance.upperBound ?? .infinity)
  }
}

/// Copies of the rows of some keys, one after another.
///
/// While they are not spread, all features of a key have the same weight, and no value of the batch is missing.
struct KeyCopies: Sendable {
  var numbers: [Double] = []
  private(set) var isSpread = false
  private(set) var stride = 0
  /// The places in a row of the last record, of the newest event time, and of the first weight, mean and variance.
  private var last = 0
  private var seen = 0
  private(set) var weights = 0
  private(set) var means = 0
  private(set) var variances = 0

  /// Takes the form of the copies.
  mutating func begin(_ columns: KeyColumns, _ layout: KeyLayout, isSpread: Bool) {
    self.isSpread = isSpread
    stride = layout.stride(isSpread: isSpread)
    last = layout.start(of: columns.last, isSpread: isSpread)
    seen = layout.start(of: columns.seen, isSpread: isSpread)
    weights = layout.start(of: columns.weight, isSpread: isSpread)
    means = layout.start(of: columns.mean, isSpread: isSpread)
    variances = layout.start(of: columns.variance, isSpread: isSpread)
  }

  /// The newest event time of a key.
  func time(of key: Int) -> Double { numbers[key * stride + seen] }

  mutating func setTime(of key: Int, to time: Double) { numbers[key * stride + seen] = time }

  /// Notes the last record of each key.
  ///
  /// - Parameter uses: its place in the batch.
  mutating func setLast(_ uses: [Int], after recordsBefore: Int) {
    for (key, use) in uses.enumerated() {
      numbers[key * stride + last] = KeyLayout.number(ofCount: recordsBefore + use + 1)
    }
  }

  /// Multiplies the weights of a key.
  mutating func decay(_ key: Int, by factor: Double, width: Int) {
    guard width > 0 else { return }
    let first = key * stride + weights
    for place in first..<first + (isSpread ? width : 1) { numbers[place] *= factor }
  }
}
