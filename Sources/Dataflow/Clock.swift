internal import Glibc

/// A moment of the monotonic clock; it means nothing outside this process.
package struct Instant: Comparable, Hashable, Sendable {
  /// Since an arbitrary start.
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// The moment `seconds` later; a delay that does not fit is the latest moment there is.
  package static func + (instant: Instant, seconds: Double) -> Instant {
    let delay = max(0, seconds) * 1e9
    guard delay < Double(UInt64.max - instant.nanoseconds) else {
      return Instant(nanoseconds: .max)
    }
    return Instant(nanoseconds: instant.nanoseconds + UInt64(delay))
  }

  /// The seconds from `earlier` to this moment, negative if `earlier` is later.
  package func seconds(since earlier: Instant) -> Double {
    nanoseconds >= earlier.nanoseconds
      ? Double(nanoseconds - earlier.nanoseconds) / 1e9
      : -Double(earlier.nanoseconds - nanoseconds) / 1e9
  }
}

/// Tells the time. Code that needs the time is given a clock, so that a test or the simulator can give
/// it another one.
package struct Clock: Sendable {
  /// The monotonic clock: for delays and ages.
  package let now: @Sendable () -> Instant
  /// The wall clock in seconds since 1970, UTC: for names and timestamps alone, since it may jump.
  package let wallSeconds: @Sendable () -> Double

  package init(
    now: @escaping @Sendable () -> Instant, wallSeconds: @escaping @Sendable () -> Double
  ) {
    self.now = now
    self.wallSeconds = wallSeconds
  }

  /// The clocks of the machine, CLOCK_MONOTONIC and CLOCK_REALTIME.
  package static let system = Clock(
    now: {
      let time = read(CLOCK_MONOTONIC)
      return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    },
    wallSeconds: {
      let time = read(CLOCK_REALTIME)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    })

  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    clock_gettime(clock, &time)
    return time
  }
}
