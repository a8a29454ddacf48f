import Codecs
import Connectors
import Dataflow
import Records
import TestSupport
import Testing

@testable import Stream

@Suite struct RateLimitTests {
  private let clock = ManualClock()

  private func rate(bytes: Int? = nil, records: Int? = nil) -> RateLimit {
    RateLimit(RateLimits(bytes: bytes, records: records), clock: clock.clock)
  }

  @Test func `without a limit nothing waits`() {
    var rate = rate()
    rate.take(bytes: 1 << 40)
    rate.take(records: 1 << 40)
    #expect(rate.secondsToBytes() == nil && rate.secondsToRecords() == nil)
    #expect(rate.bytesNow(most: 7) == 7 && rate.recordsNow() == .max)
  }

  @Test func `a second's worth comes at once, and the next a second later`() {
    var rate = rate(bytes: 1000)
    #expect(rate.bytesNow(most: 4096) == 1000)
    #expect(rate.bytesNow(most: 400) == 400)
    rate.take(bytes: 600)
    clock.advance(by: 0.5)
    #expect(rate.bytesNow(most: 4096) == 400)
    rate.take(bytes: 400)
    #expect(rate.bytesNow(most: 4096) == 0)
    #expect(rate.secondsToBytes() == 0.5)
    clock.advance(by: 0.5)
    #expect(rate.secondsToBytes() == nil)
    #expect(rate.bytesNow(most: 4096) == 600)
    // A long silence saves nothing.
    clock.advance(by: 3600)
    #expect(rate.bytesNow(most: 4096) == 1000)
  }

  @Test func `the smallest limit lets one through in a second`() {
    var rate = rate(bytes: 1, records: 1)
    for _ in 0..<3 {
      #expect(rate.bytesNow(most: 4096) == 1 && rate.recordsNow() == 1)
      rate.take(bytes: 1)
      rate.take(records: 1)
      #expect(rate.secondsToBytes() == 1 && rate.secondsToRecords() == 1)
      clock.advance(by: 1)
    }
  }

  @Test(arguments: [1, 3, 100, 1_000_000])
  func `no second has more than the limit, and a long time has nearly as much`(limit: Int) {
    var rate = rate(records: limit)
    var random = SeededGenerator()
    var taken: [(time: Double, amount: Int)] = []
    var time = 0.0
    while time < 30 {
      let now = rate.recordsNow()
      if now > 0 {
        let amount = Int.random(in: 1...now, using: &random)
        rate.take(records: amount)
        taken.append((time, amount))
      }
      let step = Double.random(in: 0...0.02, using: &random)
      clock.advance(by: step)
      time += step
    }
    for (index, first) in taken.enumerated() {
      let second = taken[index...].prefix { $0.time < first.time + 0.999_999 }
      #expect(second.map(\.amount).reduce(0, +) <= limit, "from \(first.time) s, \(random)")
    }
    let all = taken.map(\.amount).reduce(0, +)
    #expect(all <= 31 * limit && all >= 28 * limit, "\(all), \(random)")
  }

  /// Runs a stage over `input` for so many seconds of the clock.
  ///
  /// - Returns: how many records left in each second.
  private func recordsBySecond(
    _ limits: RateLimits, _ input: [UInt8], seconds: Int, format: String = "csv"
  ) throws -> [Int] {
    var configuration = TestStream(format, records: 0, seed: 1).configuration
    configuration.decoder.features = [FeaturePattern("f0")]
    configuration.batch.size = 64
    configuration.isLive = true
    configuration.rate = limits
    var stage = try IngestStage(
      IngestContext(
        configuration, metrics: StreamMetrics(clock: clock.clock), inbox: RequestInbox(),
        clock: clock.clock),
      source: PieceSource(input, piece: .max, isLive: true))
    var counts = [Int](repeating: 0, count: seconds)
    var time = 0.0
    while time < Double(seconds) {
      let progress = try stage.step(.resume) { item in
        if case .records(let block) = item { counts[Int(time)] += block.columns.count }
      }
      guard case .waits(let awaiting) = progress else { continue }
      // The source has nothing more.
      guard awaiting.readiness == nil, let pause = awaiting.seconds else { break }
      #expect(pause > 0)
      clock.advance(by: pause)
      time += pause
    }
    return counts
  }

  private func lines(_ count: Int) -> [UInt8] {
    Array(("f0\n" + (0..<count).map { "\($0 % 10)\n" }.joined()).utf8)
  }

  @Test func `short records do not come faster than the limit, from the first second on`() throws {
    // In one read there are 65,536 of them.
    let counts = try recordsBySecond(RateLimits(records: 100), lines(100_000), seconds: 5)
    #expect(counts == [100, 100, 100, 100, 100])
  }

  @Test func `a limit of bytes holds from the first second on`() throws {
    let counts = try recordsBySecond(RateLimits(bytes: 1000), lines(100_000), seconds: 5)
    // Two bytes a record; the first line has three.
    #expect(counts == [498, 500, 500, 500, 500])
  }

  @Test func `records within the limit leave at once`() throws {
    let counts = try recordsBySecond(RateLimits(bytes: 200, records: 100), lines(98), seconds: 2)
    #expect(counts == [98, 0])
  }
}
