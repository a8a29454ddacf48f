internal import Glibc

/// A moment of the monotonic clock. It has no meaning outside this process.
package struct Instant: Comparable, Hashable, Sendable {
  /// Nanoseconds since an arbitrary start.
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// The moment `seconds` later. If it does not fit, the latest moment.
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

/// Tells the time. Code that needs the time gets a clock as an argument, so that tests and the simulator can pass
/// another one.
package struct Clock: Sendable {
  /// The monotonic clock: for delays and ages.
  package let now: @Sendable () -> Instant
  /// The wall clock, in seconds since 1970, UTC. Use it only for names and timestamps, since it may jump.
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
