internal import BatchNormalization
internal import Configuration
internal import Glibc
internal import Operators
internal import Records
internal import State

/// Times the arithmetic of a mini-batch alone, on the thread that asks: no input, no text.
///
/// It reads one case a line from stdin and answers with nanoseconds per value, so that kernels.py
/// can have each case run just before PyTorch's:
///
///     batch RECORDS FEATURES      moments, normalisation and running update, as in training
///     running RECORDS FEATURES    normalisation by frozen running moments, as in evaluation
///     pass RECORDS FEATURES       as many 4-byte values read, multiplied and written in place
///     memory                      the same for 256 MiB, far more than caches hold
///     keyed RECORDS FEATURES KEYS batches of records with random keys, all of them known; 0 is without keys
///     rows RECORDS FEATURES KEYS  only the copies of the rows of these keys, out of a table and back
///     loops RECORDS FEATURES KEYS the copies and the loops over keys, without names, order and checks
///     drift RECORDS FEATURES ON   batches of a stream, with its drift charts if ON is 1
///     delta FEATURES KEYS CHANGED milliseconds in which a barrier gathers the keys that changed
///
/// The time of `pass` and `memory` is that of the memory alone. Not memcpy(3): glibc's is `rep movsb` at these sizes, which
/// on some processors takes ten times as long as a loop.
@main
struct KernelBenchmark {
  /// The time that one repetition is given, and how many there are; the fastest counts.
  private static let repetitionSeconds = 0.02
  private static let repetitions = 5

  static func main() throws {
    while let line = readLine() {
      print(try nanosecondsPerValue(of: line))
      fflush(nil)
    }
  }

  private static func nanosecondsPerValue(of line: String) throws -> Double {
    let words = line.split(separator: " ").map(String.init)
    let sizes = words.dropFirst().compactMap { Int($0) }
    switch (words.first, sizes.count) {
    case ("batch", 2): return try normalization(mode: .batch, records: sizes[0], features: sizes[1])
    case ("running", 2):
      return try normalization(mode: .running, records: sizes[0], features: sizes[1])
    case ("pass", 2): return pass(values: sizes[0] * sizes[1])
    case ("memory", 0): return pass(values: 64 << 20)
    case ("keyed", 3): return try keyed(records: sizes[0], features: sizes[1], keys: sizes[2])
    case ("rows", 3), ("loops", 3):
      var floor = KeyFloor(records: sizes[0], features: sizes[1], keys: sizes[2])
      return best(values: sizes[0] * sizes[1]) { floor.operate(withLoops: words[0] == "loops") }
    case ("drift", 3):
      return try stream(records: sizes[0], features: sizes[1], watchesDrift: sizes[2] == 1)
    case ("delta", 3): return try delta(features: sizes[0], keys: sizes[1], changed: sizes[2])
    default: throw UnknownCase(line: line)
    }
  }

  /// Normalises one batch in place, again and again: what is normal already stays so.
  private static func normalization(
    mode: NormalizationMode, records: Int, features: Int
  ) throws -> Double {
    var settings = NormalizationSettings(preset: .pytorch)
    settings.mode = mode
    let schema = try FeatureSchema(FeatureSchema.unnamed(count: features))
    var state = StateTable(NormalizerColumns.groups, features: schema)
    if mode == .running {
      settings.isFrozen = true
      // With ε the variance is 1, so that no repetition makes the values smaller.
      state[real: "running_var"] = Array(repeating: 1 - 1e-5, count: features)
      state[count: "evenkeel.moments.batches"] = Array(repeating: 1, count: features)
      state[count: "evenkeel.moments.variance_batches"] = Array(repeating: 1, count: features)
    }
    var operators = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(schema: schema, outputPrecision: .float32, normalization: settings),
      state: state)
    var batch = made(records: records, features: features)
    return try best(values: records * features) {
      let emission = try operators.operate(on: &batch)
      precondition(emission == .normalized)
    }
  }

  /// The operators of a stream with keys, or without if there are none.
  private static func chain(features: Int, keys: Int) throws -> OperatorChain {
    var settings = NormalizationSettings()
    settings.warmUp.records = 0
    if keys > 0 { settings.key = KeySettings(columns: ["key"]) }
    let schema = try FeatureSchema(FeatureSchema.unnamed(count: features))
    var operators = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(schema: schema, outputPrecision: .float32, normalization: settings))
    let values = made(records: 256, features: features)
    for first in stride(from: 0, to: keys, by: 256) {
      var one = keyed(values) { min(first + $0, keys - 1) }
      _ = try operators.operate(on: &one)
    }
    return operators
  }

  /// A batch of records of some keys.
  private static func keyed(_ values: FeatureColumns, _ key: (Int) -> Int) -> FeatureColumns {
    var batch = values
    for record in 0..<values.count {
      var roles = RecordRoles()
      roles.key = RecordKey()
      roles.key?.set(Array("device-\(key(record))".utf8), at: 0)
      batch.setRoles(roles, of: record)
    }
    return batch
  }

  /// Normalises batches in turns, as in a stream with keys: many more than the caches hold.
  private static func keyed(records: Int, features: Int, keys: Int) throws -> Double {
    var operators = try chain(features: features, keys: keys)
    let values = made(records: records, features: features)
    var seed: UInt64 = 1
    var batches = (0..<1024).map { _ in
      keys == 0
        ? values
        : keyed(values) { _ in
          seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return Int(seed >> 33) % keys
        }
    }
    // Each has memory of its own, as the batches of a stream.
    for index in batches.indices { batches[index].withFloat32Columns { $0[0] += 0 } }
    var next = 0
    return try best(values: records * features) {
      _ = try operators.operate(on: &batches[next])
      next = (next + 1) % batches.count
    }
  }

  /// Normalises batches of a stream in turns, after those that charts only learn from.
  private static func stream(records: Int, features: Int, watchesDrift: Bool) throws -> Double {
    var settings = NormalizationSettings()
    settings.warmUp.records = 0
    var values = SettingValues()
    values[DriftSettings.watch] = watchesDrift ? .on : .off
    let schema = try FeatureSchema(FeatureSchema.unnamed(count: features))
    var operators = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: schema, outputPrecision: .float32, normalization: settings, settings: values))
    let batches = (UInt32(1)...64).map { made(records: records, features: features, seed: $0) }
    var next = 0
    func operate() throws {
      // A copy, since a batch that is normal already would have the same mean each time.
      var batch = batches[next]
      _ = try operators.operate(on: &batch)
      next = (next + 1) % batches.count
    }
    for _ in 0..<400 { try operate() }
    return try best(values: records * features) { try operate() }
  }

  private static func delta(features: Int, keys: Int, changed: Int) throws -> Double {
    var operators = try chain(features: features, keys: keys)
    let values = made(records: 256, features: features)
    var fastest = Double.infinity
    for _ in 0..<repetitions {
      operators.startKeyChanges()
      for first in stride(from: 0, to: changed, by: 256) {
        // Far from each other.
        var one = keyed(values) { min(first + $0, changed - 1) * 7919 % keys }
        _ = try operators.operate(on: &one)
      }
      let time = ContinuousClock().measure {
        let found = operators.state.changes?.delta.rows.count ?? 0
        precondition(found > changed / 2)
        operators.startKeyChanges()
      }
      fastest = min(fastest, 1000 * (time / .seconds(1)))
    }
    return fastest
  }

  /// A full batch of 4-byte values with mean 0 and variance 1.
  private static func made(
    records: Int, features: Int, seed: UInt32 = 1
  ) -> FeatureColumns {
    var batch = FeatureColumns(featureCount: features, capacity: records, precision: .float32)
    batch.count = records
    // Numerical Recipes' congruential generator: any numbers will do.
    var seed = seed
    batch.withFloat32Columns { values in
      for index in values.indices {
        seed = seed &* 1_664_525 &+ 1_013_904_223
        values[index] = (Float(seed >> 8) / Float(1 << 24) - 0.5) * Float(12).squareRoot()
      }
    }
    return batch
  }

  private static func pass(values count: Int) -> Double {
    var values = [Float](repeating: 1, count: count)
    // Not known to the compiler; 1, so that the values stay what they are.
    let factor = Float(CommandLine.arguments.count)
    let result = best(values: count) {
      values.withUnsafeMutableBufferPointer { values in
        for index in values.indices { values[index] *= factor }
      }
    }
    precondition(values.last == 1)
    return result
  }

  /// Nanoseconds per value of the fastest repetition, each of as many calls as fill its time.
  private static func best(values: Int, _ call: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    func seconds(ofCalls count: Int) throws -> Double {
      try clock.measure { for _ in 0..<count { try call() } } / .seconds(1)
    }
    // The first call warms caches up, the second tells how many fill the time.
    try call()
    let once = max(1e-7, try seconds(ofCalls: 1))
    let calls = max(1, Int(repetitionSeconds / once))
    var fastest = Double.infinity
    for _ in 0..<repetitions {
      fastest = min(fastest, try seconds(ofCalls: calls) / Double(calls))
    }
    return fastest * 1e9 / Double(values)
  }
}

/// A line that names no case.
private struct UnknownCase: Error {
  let line: String
}
