import Records
import TestSupport
import Testing

@testable import BatchNormalization

@Test(arguments: UInt64(0)..<20)
func `Moments merged over any split, in any order, equal one pass`(seed: UInt64) {
  var random = SeededGenerator(seed: seed)
  let values = random.values(500, mean: 40, deviation: 3)
  var shards: [Moments] = [Moments()]
  var start = 0
  while start < values.count {
    let end = min(start + Int.random(in: 1...120, using: &random), values.count)
    shards.append(moments(Array(values[start..<end])))
    start = end
  }
  shards.shuffle(using: &random)
  var merged = Moments()
  for shard in shards {
    merged.merge(shard)
  }
  let whole = moments(values)
  #expect(merged.weight == 500)
  #expect(agree(merged.mean, whole.mean, 1e-14))
  #expect(agree(merged.m2, whole.m2, 1e-13))
}

@Test func `Empty moments are the neutral element of merging`() {
  let some = Moments(weight: 3, mean: 5, m2: 2)
  var left = Moments()
  left.merge(some)
  var right = some
  right.merge(Moments())
  #expect(left == some)
  #expect(right == some)
  #expect(Moments().biasedVariance == 0)
  #expect(Moments().unbiasedVariance == nil)
  #expect(Moments(weight: 1, mean: 5, m2: 0).unbiasedVariance == nil)
}

@Test(arguments: 0...41)
func `A column of any length gives the moments of its values`(count: Int) {
  var random = SeededGenerator(seed: UInt64(count))
  let values = random.values(count, mean: 2)
  let found = moments(values)
  #expect(found.weight == Double(count))
  guard count > 0 else { return }
  let mean = values.reduce(0, +) / Double(count)
  let m2 = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
  #expect(agree(found.mean, mean, 1e-14, scale: 1))
  #expect(agree(found.m2, m2, 1e-13, scale: 1))
}

@Test(arguments: UInt64(0)..<20)
func `Missing values count in no moment`(seed: UInt64) {
  var random = SeededGenerator(seed: seed)
  let all = random.values(101, mean: -3).map {
    Bool.random(using: &random) ? $0 : Double.nan
  }
  let statistics = makeBatch([all]).statistics(withMoments: true)[0]
  let present = all.filter { !$0.isNaN }
  #expect(statistics.extent.presentCount == present.count)
  #expect(statistics.extent.minimum == present.min())
  #expect(statistics.extent.maximum == present.max())
  #expect(statistics.moments.weight == Double(present.count))
  #expect(agree(statistics.moments.mean, moments(present).mean, 1e-14))
  #expect(agree(statistics.moments.m2, moments(present).m2, 1e-13))
}

@Test func `Nothing present gives the moments of nothing`() {
  let statistics = makeBatch([[.nan, .nan, .nan]]).statistics(withMoments: true)[0]
  #expect(statistics.extent == ColumnExtent())
  #expect(statistics.moments == Moments())
}

@Test(arguments: UInt64(0)..<20)
func `An offset of 1e9 costs a deviation of 1 no digits`(seed: UInt64) {
  var random = SeededGenerator(seed: seed)
  let values = random.values(256).map { 1e9 + $0 }
  // Exact: the offset and the sum are neighbours in magnitude.
  let small = moments(values.map { $0 - 1e9 })
  let large = moments(values)
  #expect(agree(large.mean, 1e9 + small.mean, 2e-16))
  #expect(agree(large.m2, small.m2, 1e-13))
}

@Test(arguments: UInt64(0)..<20)
func `An offset at the end of a Double's digits costs the variance none`(seed: UInt64) {
  var random = SeededGenerator(seed: seed)
  let values = (0..<256).map { _ in Double(Int.random(in: -3...3, using: &random)) }
  // The mean is rounded to an eighth here, and the second pass makes up for it exactly.
  #expect(agree(moments(values.map { 1e15 + $0 }).m2, moments(values).m2, 1e-12))
}

@Test func `The fold order is the documented one`() {
  var differing = 0
  for seed in UInt64(0)..<50 {
    var random = SeededGenerator(seed: seed)
    let values = random.values(29).map {
      $0 * Double(sign: .plus, exponent: Int.random(in: 0...60, using: &random), significand: 1)
    }
    var l = Array(repeating: 0.0, count: 8)
    for (index, value) in values.enumerated() {
      l[index % 8] += value
    }
    let sum = ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
    differing += sum == values.reduce(0, +) ? 0 : 1
    #expect(
      makeBatch([values]).statistics(withMoments: true)[0].extent.sum == sum, "seed \(seed)")
  }
  #expect(differing > 25)
}

@Test(arguments: UInt64(0)..<10)
func `Float and Double columns of the same values have the same moments`(seed: UInt64) {
  var random = SeededGenerator(seed: seed)
  let columns = (0..<3).map { _ in
    random.values(77, mean: 1e4).map { Double(Float($0)) }
  }
  let wide = makeBatch(columns).statistics(withMoments: true)
  #expect(makeBatch(columns, precision: .float32).statistics(withMoments: true) == wide)
}
