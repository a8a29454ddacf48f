import Dataflow
import TestSupport
import Testing

@testable import Stream

@Suite struct RateLimitTests {
  private let clock = ManualClock()

  @Test func `without a limit nothing waits`() {
    var rate = RateLimit(RateLimits(), clock: clock.clock)
    rate.take(bytes: 1 << 40, records: 1 << 40)
    #expect(rate.secondsLeft == nil)
  }

  @Test func `a second's worth comes at once, and the rest at the limit`() {
    var rate = RateLimit(RateLimits(bytes: 1000), clock: clock.clock)
    rate.take(bytes: 1000)
    #expect(rate.secondsLeft == nil)
    rate.take(bytes: 500)
    #expect(rate.secondsLeft == 0.5)
    clock.advance(by: 0.5)
    #expect(rate.secondsLeft == nil)
    // Of a long silence, one second is kept.
    clock.advance(by: 3600)
    rate.take(bytes: 3000)
    #expect(rate.secondsLeft == 2)
  }

  @Test func `one read goes not far beyond a small limit`() {
    let most = 128 << 10
    func bytes(_ limits: RateLimits) -> Int {
      RateLimit(limits, clock: clock.clock).readBytes(most: most)
    }
    #expect(bytes(RateLimits()) == most)
    #expect(bytes(RateLimits(bytes: 2048)) == 2048)
    #expect(bytes(RateLimits(bytes: 1)) == 512)
    #expect(bytes(RateLimits(bytes: 1 << 30, records: 100)) == 6400)
    #expect(bytes(RateLimits(records: .max)) == most)
  }

  @Test func `over any long time no more is read than the limit allows`() {
    var rate = RateLimit(RateLimits(bytes: 1 << 20, records: 100), clock: clock.clock)
    var records = 0
    for _ in 0..<1000 {
      if rate.secondsLeft == nil {
        rate.take(bytes: 1)
        rate.take(records: 7)
        records += 7
      }
      clock.advance(by: 0.01)
    }
    // Ten seconds, the one before, and one read beyond the limit.
    #expect((1000...1107).contains(records))
  }
}
