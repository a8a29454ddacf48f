package import Dataflow
internal import Dispatch
internal import Glibc
package import Storage

// Invariants:
// - `jobs` and `timers` are only touched with `lock` held; a job runs without it, one at a time.
// - The semaphore is signalled after every change, so the thread never sleeps past a job or a due timer.

/// Runs jobs one after another on a thread of its own, which exists from `init` on.
///
/// A Dispatch queue may need a new thread when work arrives; under a limit of threads it then does
/// nothing. This one needs none.
package final class SerialThread: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  private struct Timer {
    let due: Instant
    let job: @Sendable () -> Void
  }

  private let clock: Clock
  private let lock = Lock()
  private let changed = DispatchSemaphore(value: 0)
  private var jobs: [@Sendable () -> Void] = []
  private var timers: [Timer] = []
  private var isOver = false

  /// - Throws: the operation `create` if the system gives no thread.
  package init(name: String, clock: Clock = .system) throws(FileError) {
    self.clock = clock
    try startThread(named: name) { [weak self] in
      // The thread must not keep its owner alive while it sleeps.
      while let changed = self?.runJobs() {
        changed.semaphore.wait(timeout: changed.seconds)
      }
    }
  }

  /// Runs a job after those that were given before it.
  package func async(_ job: @escaping @Sendable () -> Void) {
    lock.withLock { jobs.append(job) }
    changed.signal()
  }

  /// Runs a job after a delay.
  package func after(seconds: Double, _ job: @escaping @Sendable () -> Void) {
    lock.withLock { timers.append(Timer(due: clock.now() + seconds, job: job)) }
    changed.signal()
  }

  /// Ends the thread after the job that it runs now; other jobs are dropped.
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

  /// Runs all that is due; nil once the thread is to end.
  private func runJobs() -> (semaphore: DispatchSemaphore, seconds: Double?)? {
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

extension DispatchSemaphore {
  /// Waits for a signal; nil waits without end.
  fileprivate func wait(timeout seconds: Double?) {
    guard let seconds else { return wait() }
    _ = wait(timeout: .now() + seconds)
  }
}

/// Starts a thread that ends when `body` returns.
///
/// - Throws: the operation `create` if the system gives no thread.
package func startThread(
  named name: String, _ body: @escaping @Sendable () -> Void
) throws(FileError) {
  let box = ThreadBody(body)
  var thread = pthread_t()
  let status = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
      return nil
    }, Unmanaged.passRetained(box).toOpaque())
  guard status == 0 else {
    Unmanaged.passUnretained(box).release()
    throw FileError(operation: .create, path: "thread \(name)", errno: status)
  }
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void

  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
