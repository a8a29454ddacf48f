package import Dataflow

// Invariants:
// - `jobs` and `timers` are only touched with `lock` held. Jobs run one at a time, without the lock.
// - `changed` is signalled after every change, so the thread never sleeps longer than until a job or a due timer.

/// Runs jobs one after another on its own thread, which exists from `init` on.
///
/// A Dispatch queue may need a new thread when work arrives; if a limit of threads prevents it, the queue does
/// nothing. This one needs no new thread.
package final class SerialThread: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  private struct Timer {
    let due: Instant
    let job: @Sendable () -> Void
  }

  private let clock: Clock
  private let lock = Lock()
  private let changed = Wakeup()
  private var jobs: [@Sendable () -> Void] = []
  private var timers: [Timer] = []
  private var isOver = false

  /// - Parameter name: at most 15 bytes.
  package init(name: String, clock: Clock = .system) throws(ThreadError) {
    self.clock = clock
    try startThread(name) { [weak self] in
      // The thread must not keep its owner alive while it sleeps.
      while let (changed, seconds) = self?.runJobs() { changed.wait(seconds: seconds) }
    }
  }

  /// Runs a job after all earlier ones.
  package func async(_ job: @escaping @Sendable () -> Void) {
    lock.withLock { jobs.append(job) }
    changed.signal()
  }

  /// Runs a job after a delay.
  package func after(seconds: Double, _ job: @escaping @Sendable () -> Void) {
    lock.withLock { timers.append(Timer(due: clock.now() + seconds, job: job)) }
    changed.signal()
  }

  /// Ends the thread after its current job. Drops all other jobs.
  package func stop() {
    lock.withLock {
      isOver = true
      jobs = []
      timers = []
    }
    changed.signal()
  }

  deinit {
    changed.signal()
  }

  /// Runs all jobs and timers that are due. Returns nil when the thread must end.
  private func runJobs() -> (changed: Wakeup, seconds: Double?)? {
    while let job = nextJob() { job() }
    return lock.withLock {
      guard !isOver else { return nil }
      guard jobs.isEmpty else { return (changed, 0) }
      return (changed, timers.map(\.due).min().map { max(0, $0.seconds(since: clock.now())) })
    }
  }

  private func nextJob() -> (@Sendable () -> Void)? {
    lock.withLock {
      let now = clock.now()
      if let first = timers.indices.min(by: { timers[$0].due < timers[$1].due }),
        timers[first].due <= now
      {
        return timers.remove(at: first).job
      }
      return jobs.isEmpty ? nil : jobs.removeFirst()
    }
  }
}
