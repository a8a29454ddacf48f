internal import CLinux
internal import Glibc

// Invariants:
// - `start` makes every thread. There are `count` of them, however many streams run.
// - A job of `live` or `bulk` does not wait for a disk. A job that may wait runs in the share of its disk.

/// The threads that run the stages of all streams. Their number does not depend on the number of streams.
///
/// - The first pool computes. It has a thread for each processor, and two more. Streams from files (`bulk`) use at
///   most one thread a processor, since more would only compete for the processors. So live streams always find two
///   threads.
/// - The second pool waits for disks. At most two of its four threads work for the same disk, so a disk that hangs
///   stops only the streams that use it.
/// - One more thread waits for descriptors and times.
package final class StageThreads: Sendable {
  package static let shared = StageThreads(processors: usableProcessors)

  /// The processors that the calling thread may run on, at least one. There are fewer than the machine has under
  /// taskset(1), or in a container with its own set.
  package static var usableProcessors: Int {
    var processors = cpu_set_t()
    let size = MemoryLayout<cpu_set_t>.size
    // The set has room for 1,024 processors. The call fails if the kernel has more.
    guard sched_getaffinity(0, size, &processors) == 0 else {
      return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
    // The function that the macro CPU_COUNT(3) calls.
    return Int(__sched_cpucount(size, &processors))
  }

  /// Runs the stages of live streams.
  let live: ThreadShare
  /// Runs the stages of streams from files.
  let bulk: ThreadShare
  /// Makes the sources of streams from files wait.
  let gate: SourceGate
  let watch = ReadinessWatch()
  private let computing: ThreadPool
  private let disks: ThreadPool
  private let diskShares = DiskShares()

  init(processors: Int) {
    computing = ThreadPool("stage", count: processors + 2)
    disks = ThreadPool("disk", count: 4)
    bulk = computing.share(most: processors)
    live = computing.share(most: max(2, processors))
    gate = SourceGate(threads: processors)
  }

  /// The number of threads that `start` makes.
  package var count: Int { computing.count + disks.count + 1 }

  /// Makes every thread, unless they exist. No other call makes one.
  package func start() throws(ThreadError) {
    do throws(ThreadError) {
      try watch.start()
      try computing.start()
      try disks.start()
    } catch {
      throw ThreadError(needed: count, made: made, errno: error.errno)
    }
  }

  private var made: Int { watch.made + computing.made + disks.made }

  /// The share that runs jobs that may wait for a disk.
  func share(of disk: Disk) -> ThreadShare {
    diskShares.share(of: disk) { disks.share(most: 2) }
  }

  /// A queue for jobs that may wait for a disk and belong to no stage.
  package func queue(of disk: Disk) -> SerialQueue { SerialQueue(on: share(of: disk)) }

  /// Runs `body` on a queue after a delay.
  package func run(
    on queue: SerialQueue, afterSeconds seconds: Double, _ body: @escaping @Sendable () -> Void
  ) {
    watch.call(at: Clock.system.now() + seconds) { queue.async(body) }
  }

  /// Ends the threads after all queued jobs.
  func stop() {
    computing.stop()
    disks.stop()
    watch.stop()
  }
}

/// The share of each disk.
private final class DiskShares: @unchecked Sendable {
  // @unchecked because `shares` is only touched with `lock` held.
  private let lock = Lock()
  private var shares: [Disk: ThreadShare] = [:]

  func share(of disk: Disk, make: () -> ThreadShare) -> ThreadShare {
    lock.withLock {
      if let share = shares[disk] { return share }
      let share = make()
      shares[disk] = share
      return share
    }
  }
}
