/// Records in a day, at one record a minute.
let recordsPerDay = 1440

/// The random process of one feature: noise around a mean that follows the day and wanders.
///
/// Every process has its own generator and draws the same number of random numbers for every record. So the values of
/// a feature depend neither on the other features nor on format, season or missing ratio. The process uses only
/// operations that IEEE 754 rounds correctly, so the values do not depend on the machine.
struct FeatureProcess {
  private var random: SplitMix64
  private let offset: Double
  private let scale: Double
  /// By how many records the daily cycle of this feature is shifted.
  private let phase: Int
  /// How far the mean has wandered, in standard deviations.
  private var walk = 0.0

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    offset = Self.magnitude(&random) * (random.next() & 1 == 0 ? 1 : -1)
    scale = Self.magnitude(&random)
    phase = Int(random.next() % UInt64(recordsPerDay))
  }

  /// A number between 0.1 and 1000. Its logarithm is uniform on a grid of 1/16 decade.
  private static func magnitude(_ random: inout SplitMix64) -> Double {
    let steps = Int(random.next() % 65)
    let step = 10.0.squareRoot().squareRoot().squareRoot().squareRoot()
    return (0..<steps).reduce(0.1) { product, _ in product * step }
  }

  /// The value at record `row`. Must be called for every record, in order.
  ///
  /// - Returns: the value, and a uniform number in [0, 1) that decides whether the caller omits it.
  mutating func next(row: Int, day: DailyCycle, settings: SyntheticSettings) -> (Double, Double) {
    if row % 60 == 0 {
      // One step an hour. The sum of 24 steps has the standard deviation `drift`.
      walk += random.nextNormal() * settings.drift * (1 / 24.0.squareRoot())
    }
    let season = settings.season * day.sines[(row + phase) % recordsPerDay]
    let value = offset + scale * (random.nextNormal() + season + walk)
    return (value, random.nextUnit())
  }
}

/// One period of a sine, a value a minute.
struct DailyCycle {
  let sines: [Double]

  init() {
    // Rotates a unit vector, since sin() may differ in its last bit between C libraries.
    let (cosine, sine) = (0.999_990_480_720_734_5, 0.004_363_309_284_746_571)
    var (x, y) = (1.0, 0.0)
    sines = (0..<recordsPerDay).map { _ in
      defer { (x, y) = (x * cosine - y * sine, x * sine + y * cosine) }
      return y
    }
  }
}
