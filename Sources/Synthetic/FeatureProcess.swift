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
  private let changes: [SyntheticChange]
  /// The value that a dead sensor repeats.
  private var last = 0.0

  /// - Parameter changes: those of this feature.
  init(seed: UInt64, changes: [SyntheticChange] = []) {
    self.changes = changes
    random = SplitMix64(seed: seed)
    let (size, sign) = (Self.magnitude(&random), random.next() & 1 == 0 ? 1.0 : -1)
    let deviation = Self.magnitude(&random)
    // °C of a room; in other units, 1.8 x + 32 could be anything.
    let isTemperature = changes.contains { $0.kind == .unit }
    offset = isTemperature ? 20 : size * sign
    scale = isTemperature ? 5 : deviation
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
  /// - Returns: the value, and a number below 1 that decides whether the caller omits it: uniform in [0, 1), or less than
  ///   0 if it is missing for certain.
  mutating func next(row: Int, day: DailyCycle, settings: SyntheticSettings) -> (Double, Double) {
    if row % 60 == 0 {
      // One step an hour. The sum of 24 steps has the standard deviation `drift`.
      walk += random.nextNormal() * settings.drift * (1 / 24.0.squareRoot())
    }
    let season = settings.season * day.sines[(row + phase) % recordsPerDay]
    var value = offset + scale * (random.nextNormal() * noise(at: row) + season + walk)
    var chance = random.nextUnit()
    for change in changes where row >= change.row {
      switch change.kind {
      case .unit: value = value * 1.8 + 32
      case .bias: value += 2 * scale
      case .dead: value = last
      case .noise: break
      case .missing: if (row - change.row) % 500 < 50 { chance = -1 }
      case .outliers: if (row - change.row) % 50 == 0 { value += 50 * scale }
      }
    }
    last = value
    return (value, chance)
  }

  /// How strong the noise is.
  private func noise(at row: Int) -> Double {
    guard let change = changes.first(where: { $0.kind == .noise }), row > change.row else {
      return 1
    }
    return 1 + Double(min(row - change.row, 9000)) / 1000
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
