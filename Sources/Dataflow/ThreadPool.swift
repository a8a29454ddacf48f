// Invariants:
// - All mutable state, of the pool and of its shares, is only touched with `lock` held.
// - `running` of a share is at most its `most`.
// - If a job is runnable (its share may have one more running) and a thread sleeps, then another thread is about to
//   look for jobs: one that was woken (`wakes` counts them), or the one that queued the job.

/// A fixed number of threads that run queued jobs.
///
/// Each job belongs to a share, which bounds how many of its jobs run at once. The next job is one of the share with
/// the fewest running jobs; among equals, of the share that was served least recently. So each share gets its turn,
/// however much the others queue. A share whose running jobs are all blocked stops no other share.
final class ThreadPool: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  typealias Job = @Sendable () -> Void

  let count: Int
  private let name: String
  private let lock = Lock()
  private var shares: [ThreadShare] = []
  private var madeCount = 0
  /// The threads that sleep and were not woken. The last one is woken first: its memory is still in the caches of a
  /// processor.
  private var sleeping: [Sleeper] = []
  /// The number of threads that were woken and have not looked for jobs yet.
  private var wakes = 0
  private var jobsStarted = 0
  private var isStopped = false

  /// - Parameter name: the name of its threads, at most 15 bytes.
  init(_ name: String, count: Int) {
    precondition(count > 0)
    self.name = name
    self.count = count
  }

  /// Makes the threads. A second call makes those that an earlier call could not make.
  func start() throws(ThreadError) {
    lock.lock()
    defer { lock.unlock() }
    while madeCount < count {
      do throws(ThreadError) {
        try startThread(name) { self.work() }
      } catch {
        throw ThreadError(needed: count, made: madeCount, errno: error.errno)
      }
      madeCount += 1
    }
  }

  /// The number of threads that `start` has made.
  var made: Int { lock.withLock { madeCount } }

  /// Ends the threads after all queued jobs.
  func stop() {
    let sleepers = lock.withLock {
      isStopped = true
      return sleeping
    }
    for sleeper in sleepers { sleeper.condition.signal() }
  }

  /// A new share, which runs at most `most` jobs at once.
  func share(most: Int) -> ThreadShare {
    precondition(most > 0)
    return lock.withLock {
      let share = ThreadShare(self, most: most)
      shares.append(share)
      return share
    }
  }

  /// Queues a job after the other jobs of its share.
  fileprivate func run(_ job: @escaping Job, in share: ThreadShare, _ wake: Wake) {
    let woken: Sleeper? = lock.withLock {
      share.queued.append(QueuedJob(body: job))
      guard wake.caller !== self, share.running < share.most else { return nil }
      return wakeOne()
    }
    woken?.condition.signal()
  }

  fileprivate func isIdle(_ share: ThreadShare) -> Bool {
    lock.withLock { share.queued.isEmpty && share.running == 0 }
  }

  /// Chooses a thread to signal; nil if none sleeps.
  private func wakeOne() -> Sleeper? {
    guard let sleeper = sleeping.popLast() else { return nil }
    sleeper.isWoken = true
    wakes += 1
    return sleeper
  }

  private func work() {
    let sleeper = Sleeper()
    lock.lock()
    while true {
      if let share = nextShare() {
        runJob(of: share)
        lock.lock()
        share.running -= 1
      } else if isStopped {
        return lock.unlock()
      } else {
        sleeping.append(sleeper)
        while !sleeper.isWoken, !isStopped { sleeper.condition.wait(lock) }
        if sleeper.isWoken { wakes -= 1 }
        sleeper.isWoken = false
      }
    }
  }

  /// Runs the first job of a share. Releases the lock before it runs the job, and takes it again only after it has
  /// released the job: the job may hold the last reference to a runner, whose stage must not be released under the
  /// lock.
  private func runJob(of share: ThreadShare) {
    let job = share.queued.removeFirst()
    share.running += 1
    jobsStarted += 1
    share.lastStart = jobsStarted
    // The next job may have been queued without waking a thread.
    let woken = wakes == 0 && nextShare() != nil ? wakeOne() : nil
    lock.unlock()
    woken?.condition.signal()
    job?.body()
  }

  private func nextShare() -> ThreadShare? {
    var next: ThreadShare?
    for share in shares where !share.queued.isEmpty && share.running < share.most {
      if next.map({ share.precedes($0) }) ?? true { next = share }
    }
    return next
  }
}

/// The wait of one thread. The pool's lock guards it.
private final class Sleeper: @unchecked Sendable {
  // @unchecked because the pool's lock guards what changes.
  let condition = Condition()
  var isWoken = false
}

/// A job in a queue. The struct avoids allocations: a closure alone in a generic container would be wrapped in
/// another closure on the heap each time.
private struct QueuedJob {
  let body: ThreadPool.Job
}

/// Whether queueing a job wakes a thread.
struct Wake {
  /// The pool of the thread that queues the job as the last action of its own job.
  fileprivate let caller: ThreadPool?

  /// Wakes a sleeping thread, if there is one.
  static let now = Wake(caller: nil)
  /// Wakes no thread if the caller is a thread of the same pool, because that thread looks for jobs next. Saves a
  /// switch to another thread.
  static func atEnd(of share: ThreadShare) -> Wake { Wake(caller: share.pool) }
}

/// A bounded share of a pool's threads.
final class ThreadShare: @unchecked Sendable {
  // @unchecked because the pool's lock guards what changes.
  let most: Int
  fileprivate var queued = FIFO<QueuedJob>()
  fileprivate var running = 0
  /// The number of the last started job, counted over all shares.
  fileprivate var lastStart = 0
  fileprivate let pool: ThreadPool

  fileprivate init(_ pool: ThreadPool, most: Int) {
    self.pool = pool
    self.most = most
  }

  /// Runs a job on one of the pool's threads, after the earlier jobs of this share.
  func run(_ job: @escaping @Sendable () -> Void) { pool.run(job, in: self, .now) }

  func run(_ wake: Wake, _ job: @escaping @Sendable () -> Void) { pool.run(job, in: self, wake) }

  /// Whether no job is queued or running.
  var isIdle: Bool { pool.isIdle(self) }

  fileprivate func precedes(_ other: ThreadShare) -> Bool {
    (running, lastStart) < (other.running, other.lastStart)
  }
}
