internal import Glibc

/// The longest that a test waits for a condition, in seconds. Only a hang lasts as long; a loaded machine does not.
package let hangSeconds = 600.0

/// Waits until a condition holds.
///
/// - Returns: whether it came to hold within `hangSeconds`.
package func eventually(_ holds: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(hangSeconds)
  while ContinuousClock.now < deadline {
    if try holds() { return true }
    usleep(2000)
  }
  return try holds()
}

/// The processor time of the calling thread, in seconds. The work of other threads and processes does not change it.
package func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
