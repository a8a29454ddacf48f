internal import Glibc

/// Wakes a thread that waits for it. Several signals before the thread waits count as one.
///
/// Its times are those of the monotonic clock. A semaphore of Dispatch waits by the wall clock on Linux, so that its wait
/// lasts longer if that clock is put back.
package final class Wakeup: @unchecked Sendable {
  // @unchecked because `isSignalled` is only touched with `lock` held.
  private let lock = Lock()
  private let condition = Condition()
  private var isSignalled = false

  package init() {}

  package func signal() {
    lock.withLock { isSignalled = true }
    condition.signal()
  }

  /// Waits for a signal, and takes it.
  ///
  /// - Parameter seconds: the longest wait; nil waits without limit.
  /// - Returns: whether there was a signal.
  @discardableResult
  package func wait(seconds: Double? = nil) -> Bool {
    let end = seconds.map(Self.time(after:))
    return lock.withLock {
      while !isSignalled {
        guard let end else {
          condition.wait(lock)
          continue
        }
        guard condition.wait(lock, until: end) else { break }
      }
      defer { isSignalled = false }
      return isSignalled
    }
  }

  private static func time(after seconds: Double) -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    // A year, so that the sum fits.
    let nanoseconds = time.tv_nsec + Int(min(max(seconds, 0), 31_536_000) * 1e9)
    time.tv_sec += nanoseconds / 1_000_000_000
    time.tv_nsec = nanoseconds % 1_000_000_000
    return time
  }
}
