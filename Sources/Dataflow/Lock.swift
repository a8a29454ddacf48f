internal import Glibc

/// A pthread mutex. ThreadSanitizer understands it on Linux; it does not understand
/// `Synchronization.Mutex`.
package final class Lock: @unchecked Sendable {
  // @unchecked because a pthread mutex is made to be shared; its address is stable on the heap.
  fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

  package init() {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    let status = pthread_mutex_init(mutex, nil)
    precondition(status == 0, "pthread_mutex_init: \(status)")
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deinitialize(count: 1)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }

  package func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock()
    defer { unlock() }
    return try body()
  }
}

/// A pthread condition variable: threads that hold a lock wait on it until another thread signals.
final class Condition: @unchecked Sendable {
  // @unchecked because a pthread condition is made to be shared; its address is stable on the heap.
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let status = pthread_cond_init(condition, &attributes)
    precondition(status == 0, "pthread_cond_init: \(status)")
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deinitialize(count: 1)
    condition.deallocate()
  }

  /// Releases `lock`, which the caller holds, sleeps, and takes it again. It may return without a signal.
  func wait(_ lock: Lock) { pthread_cond_wait(condition, lock.mutex) }

  /// The same, until a time of the monotonic clock at most.
  ///
  /// - Returns: false if that time has come.
  func wait(_ lock: Lock, until time: timespec) -> Bool {
    var time = time
    return pthread_cond_timedwait(condition, lock.mutex, &time) != ETIMEDOUT
  }

  func signal() { pthread_cond_signal(condition) }
}
