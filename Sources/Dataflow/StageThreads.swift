internal import CLinux
internal import Glibc

// Invariants:
// - Every thread is made by `start`; there are `count` of them however many streams run.
// - A job of `live` or `bulk` does not wait for a disk. One that may wait runs in the share of its disk.

/// The threads that run the stages of all streams, a fixed number for any number of streams.
///
/// The first pool computes: a thread for each processor, and two more. Streams from files (`bulk`) never have
/// more than one a processor, since another one would only take the processor from a stage; so live streams
/// always find two. The second pool waits for disks: at most two of its four threads work for the same disk,
/// so a disk that hangs stops only the streams that use it. One more thread waits for descriptors and times.
package final class StageThreads: Sendable {
  package static let shared = StageThreads(processors: usableProcessors)

  /// The processors that the calling thread may run on, at least one: fewer than the machine has under
  /// taskset(1) or in a container with a set of its own.
  package static var usableProcessors: Int {
    var processors = cpu_set_t()
    let size = MemoryLayout<cpu_set_t>.size
    // The set has room for 1,024; the call fails if the kernel knows of more.
    guard sched_getaffinity(0, size, &processors) == 0 else {
      return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
    // What the macro CPU_COUNT(3) stands for.
    return Int(__sched_cpucount(size, &processors))
  }

  /// Runs the stages of live streams.
  let live: ThreadShare
  /// Runs the stages of streams from files.
  let bulk: ThreadShare
  /// Makes the sources of `bulk` wait.
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

  /// How many threads `start` makes.
  package var count: Int { computing.count + disks.count + 1 }

  /// Makes every thread, unless they were made already. No other call makes one.
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

  /// Runs what may wait for a disk.
  func share(of disk: Disk) -> ThreadShare {
    diskShares.share(of: disk) { disks.share(most: 2) }
  }

  /// A queue for jobs that are no stage's and may wait for a disk.
  package func queue(of disk: Disk) -> SerialQueue { SerialQueue(on: share(of: disk)) }

  /// Runs `body` on a queue after a delay.
  package func run(
    on queue: SerialQueue, afterSeconds seconds: Double, _ body: @escaping @Sendable () -> Void
  ) {
    watch.call(at: Clock.system.now() + seconds) { queue.async(body) }
  }

  /// Ends the threads once nothing is queued.
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
