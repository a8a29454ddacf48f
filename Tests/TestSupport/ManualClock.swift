package import Dataflow
import Synchronization

/// A clock that stands still until the test moves it.
package final class ManualClock: Sendable {
  /// 2026-11-22 09:15:00 UTC, in seconds since 1970.
  package static let startSeconds = 1_795_338_900
  private let nanoseconds = Atomic(0)

  package init() {}

  /// Moves both clocks; backwards too, which the monotonic one then does as well.
  package func advance(by seconds: Double) {
    nanoseconds.add(Int((seconds * 1e9).rounded()), ordering: .relaxed)
  }

  package var clock: Clock {
    Clock(
      now: { [self] in
        Instant(nanoseconds: UInt64(1 << 62 + nanoseconds.load(ordering: .relaxed)))
      },
      wallSeconds: { [self] in
        Double(Self.startSeconds) + Double(nanoseconds.load(ordering: .relaxed)) / 1e9
      })
  }
}
