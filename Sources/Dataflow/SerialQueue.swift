// Invariants:
// - Jobs run in the order in which they came, one at a time.
// - `isScheduled` means that a thread runs the jobs or that a pool will. No other caller schedules the queue then.

/// A queue that runs one job at a time, on a free thread of a share.
package final class SerialQueue: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  private struct Job {
    let share: ThreadShare
    let body: @Sendable () -> Void
  }

  private let lock = Lock()
  private var home: ThreadShare
  private var jobs = FIFO<Job>()
  private var isScheduled = false

  init(on home: ThreadShare) {
    self.home = home
  }

  /// Runs `body` after the jobs that came before it.
  package func async(_ body: @escaping @Sendable () -> Void) { async(on: nil, .now, body) }

  /// Runs `body` after the jobs that came before it.
  ///
  /// - Parameter share: the share whose thread runs it; nil for the queue's own share.
  func async(
    on share: ThreadShare? = nil, _ wake: Wake = .now, _ body: @escaping @Sendable () -> Void
  ) {
    let firstShare: ThreadShare? = lock.withLock {
      let job = Job(share: share ?? home, body: body)
      jobs.append(job)
      guard !isScheduled else { return nil }
      isScheduled = true
      return job.share
    }
    if let firstShare { schedule(on: firstShare, wake) }
  }

  /// Runs later jobs in another share.
  func move(to share: ThreadShare) {
    lock.withLock { home = share }
  }

  private func schedule(on share: ThreadShare, _ wake: Wake) {
    share.run(wake) { self.runJobs(on: share) }
  }

  /// Runs the jobs that are queued now. Jobs that come meanwhile wait until other queues have had their turn.
  private func runJobs(on share: ThreadShare) {
    var left = lock.withLock { jobs.count }
    while true {
      lock.lock()
      guard let next = jobs.first else {
        isScheduled = false
        return lock.unlock()
      }
      guard left > 0, next.share === share else {
        lock.unlock()
        return schedule(on: next.share, .atEnd(of: share))
      }
      left -= 1
      _ = jobs.removeFirst()
      lock.unlock()
      next.body()
    }
  }
}
