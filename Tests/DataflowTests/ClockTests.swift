import Testing

@testable import Dataflow

@Suite struct ClockTests {
  @Test func `a moment plus a delay is that much later`() {
    let start = Instant(nanoseconds: 5_000_000_000)
    let later = start + 1.5
    #expect(later == Instant(nanoseconds: 6_500_000_000))
    #expect(later.seconds(since: start) == 1.5)
    #expect(start.seconds(since: later) == -1.5)
    #expect(start + -3 == start)
  }

  @Test func `a delay that does not fit is the latest moment`() {
    let latest = Instant(nanoseconds: .max)
    #expect(Instant(nanoseconds: 1) + 1e12 == latest)
    #expect(Instant(nanoseconds: 1) + .infinity == latest)
    #expect(latest + 1 == latest)
  }

  @Test func `the monotonic clock does not go back, and the wall clock is past 2020`() {
    let first = Clock.system.now()
    #expect(Clock.system.now() >= first)
    #expect(Clock.system.wallSeconds() > 1_577_836_800)
  }
}
