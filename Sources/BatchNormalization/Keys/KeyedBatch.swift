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

  /// For each key and feature: the moments after the batch. Empty if the batch moves none.
  var after = KeyMoments()
  /// The event time of each key after the batch.
  var times: [Double] = []
  /// The newest event time of the records, with a key or without; 0 without event times.
  var newest = 0.0

  var count: Int { rows.count }

  /// Makes room for so many transforms, all of them that of all records.
  mutating func resize(to count: Int) {
    scales.removeAll(keepingCapacity: true)
    scales.append(contentsOf: repeatElement(.nan, count: count))
    if means.count < count {
      means.append(contentsOf: repeatElement(0, count: count - means.count))
    }
    if reaches.count < count {
      reaches.append(contentsOf: repeatElement(0, count: count - reaches.count))
    }
  }

  /// Finds the keys of some records.
  ///
  /// - Parameter table: gives the row of a key.
  mutating func gather(
    _ keys: KeyBytes, _ records: Range<Int>,
    table: (_ hash: UInt64, _ name: ArraySlice<UInt8>) -> Int?
  ) {
    forget()
    var last: (name: ArraySlice<UInt8>, number: Int)?
    for record in records {
      let name = keys[record]
      guard !name.isEmpty else {
        numbers.append(-1)
        continue
      }
      // Records that follow each other are often of one key.
      if let last, last.name == name {
        note(last.number)
        continue
      }
      let hash = KeyIndex.hash(of: name)
      let number =
        index.row(hash) { names[$0] == name } ?? add(name, hash, row: table(hash, name))
      note(number)
      last = (name, number)
    }
  }

  mutating func forget() {
    numbers.removeAll(keepingCapacity: true)
    names.removeAll()
    hashes.removeAll(keepingCapacity: true)
    rows.removeAll(keepingCapacity: true)
    lastUses.removeAll(keepingCapacity: true)
    index.removeAll()
    after.removeAll()
    newest = 0
  }

  private mutating func note(_ number: Int) {
    lastUses[number] = numbers.count
    numbers.append(Int32(number))
  }

  private mutating func add(_ name: ArraySlice<UInt8>, _ hash: UInt64, row: Int?) -> Int {
    let number = rows.count
    names.append(name)
    hashes.append(hash)
    rows.append(row.map { Int32($0) } ?? -1)
    lastUses.append(0)
    index.insert(hash, row: number)
    return number
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

/// The moments of some keys: for each key and feature Σw, μ and σ².
struct KeyMoments: Sendable {
  var weights: [Double] = []
  var means: [Double] = []
  var variances: [Double] = []

  mutating func removeAll() {
    weights.removeAll(keepingCapacity: true)
    means.removeAll(keepingCapacity: true)
    variances.removeAll(keepingCapacity: true)
  }
}
