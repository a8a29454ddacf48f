internal import CColumnKernel
internal import Glibc

/// The least that batches with keys cost: the loops over the moments of keys that the normaliser calls, and the copies of rows
/// out of a table and back. Names, the order of use, counts and checks are left out.
struct KeyFloor: ~Copyable {
  /// The batches whose records were drawn; they come in turns.
  private static let drawn = 1024

  private let records, features, keys: Int
  private let instructions = column_instructions_best()
  /// The numbers of a row: the last record, its time, one weight, and two moments a feature.
  private let stride: Int
  private let table, copies, rows, transforms, sums, found: UnsafeMutablePointer<Double>
  private let values: UnsafeMutablePointer<Float>
  private let ones: UnsafeMutablePointer<Double>
  private let maps: UnsafeMutablePointer<ColumnMap>
  private let isByKey: UnsafeMutablePointer<Bool>
  private let clipped: UnsafeMutablePointer<Int64>
  /// The keys of each batch, and for each record the number of its key among them.
  private var batches: [(keys: [Int], numbers: [Int32])] = []
  private var next = 0

  init(records: Int, features: Int, keys: Int) {
    (self.records, self.features, self.keys) = (records, features, keys)
    stride = 3 + 2 * features
    func made<T>(_ count: Int, _ value: T) -> UnsafeMutablePointer<T> {
      let memory = UnsafeMutablePointer<T>.allocate(capacity: count)
      memory.initialize(repeating: value, count: count)
      return memory
    }
    table = made(keys * stride, 1.0)
    copies = made(records * stride, 1.0)
    rows = made(records * features, 1.0)
    transforms = made(3 * records * features, 1.0)
    sums = made(2 * records * features, 0.0)
    found = made(2 * features, 0.0)
    values = made(records * features, Float(0.5))
    ones = made(features, 1.0)
    maps = made(
      features,
      ColumnMap(
        center: 0, low: -100, high: 100, scale: 1, shift: 0, fill: .nan, has_missing: false))
    isByKey = made(features, true)
    clipped = made(features, Int64(0))
    var seed: UInt64 = 1
    for _ in 0..<Self.drawn {
      var numbers: [Int: Int32] = [:]
      var batch = (keys: [Int](), numbers: [Int32]())
      for _ in 0..<records {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let key = Int(seed >> 33) % keys
        let number = numbers[key] ?? Int32(batch.keys.count)
        if numbers.updateValue(number, forKey: key) == nil { batch.keys.append(key) }
        batch.numbers.append(number)
      }
      batches.append(batch)
    }
  }

  deinit {
    for memory in [table, copies, rows, transforms, sums, found, ones] { memory.deallocate() }
    values.deallocate()
    maps.deallocate()
    isByKey.deallocate()
    clipped.deallocate()
  }

  /// Normalises one batch, and adds it to the moments of its keys.
  ///
  /// - Parameter withLoops: whether to call the loops, or to copy the rows alone.
  mutating func operate(withLoops: Bool) {
    let batch = batches[next]
    next = (next + 1) % batches.count
    for (number, key) in batch.keys.enumerated() {
      memcpy(copies + number * stride, table + key * stride, 8 * stride)
    }
    if withLoops { loop(over: batch) }
    for (number, key) in batch.keys.enumerated() {
      memcpy(table + key * stride, copies + number * stride, 8 * stride)
    }
  }

  private func loop(over batch: (keys: [Int], numbers: [Int32])) {
    let (width, size) = (features, records * features)
    let rule = KeyRule(
      prior: 5, epsilon_share: 1e-5, epsilon_added: 0, variance_floor: 0, clip: 100, divides: true)
    let whole = KeyRow(weights: ones, means: ones, variances: ones, shares_weight: false)
    func row(_ number: Int) -> KeyRow {
      let first = copies + number * stride
      return KeyRow(
        weights: first + 2, means: first + 3, variances: first + 3 + width, shares_weight: true)
    }
    for number in batch.keys.indices {
      let place = transforms + number * width
      key_plan(
        instructions, row(number), 1, whole, nil, ones, rule, width,
        KeyTransforms(centers: place, reaches: place + size, scales: place + 2 * size))
    }
    key_rows_float(instructions, values, records, records, width, rows)
    sums.update(repeating: 0, count: 2 * size)
    key_sums(instructions, rows, batch.numbers, records, width, sums, sums + size)
    for number in batch.keys.indices {
      let place = sums + number * width
      key_away(
        instructions, row(number), place, place + size, 32, 4, width, found, found + width)
    }
    for (record, number) in batch.numbers.enumerated() {
      let first = copies + Int(number) * stride
      key_add(
        instructions,
        MutableKeyRow(
          weights: first + 2, means: first + 3, variances: first + 3 + width, shares_weight: true),
        rows + record * width, 1, 1, width)
    }
    key_map_float(
      instructions, values, records, records, batch.numbers,
      KeyTransforms(centers: transforms, reaches: transforms + size, scales: transforms + 2 * size),
      width, maps, isByKey, true, clipped)
  }
}
