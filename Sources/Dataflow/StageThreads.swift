internal import CLinux
internal import Dispatch
internal import Glibc
internal import Synchronization

// Invariants:
// - `queued` counts what was given to `async` and is not done; none of it waits for a source.
// - While a source waits there is something queued, or a source whose pause will call the next.

/// One thread a core, for the stages of many flows: a thread too many only takes a core from another stage.
///
/// Sources wait while twice as much is to be done behind them as there are threads: what they read meanwhile would
/// only be held. One flow alone seldom comes to as much; among many, a source that waits in its turn goes on before the
/// others, so that few flows at once hold what one holds at work.
package final class StageThreads: @unchecked Sendable {
  // @unchecked because `waiting` is only touched with `lock` held.

  /// Not the threads of the default class, which Swift's concurrency shares: the control plane does not
  /// wait behind stages. On Linux the utility class is 2 nicer than the default.
  package static let shared = StageThreads(.global(qos: .utility), count: usableProcessors)

  /// The processors that the calling thread may run on, at least one: fewer than the machine has under
  /// taskset(1) or in a container with a set of its own.
  package static var usableProcessors: Int {
    var processors = cpu_set_t()
    let size = MemoryLayout<cpu_set_t>.size
    // The set has room for 1,024; the call fails where the kernel knows of more.
    guard sched_getaffinity(0, size, &processors) == 0 else {
      return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
    // What the macro CPU_COUNT(3) stands for.
    return Int(__sched_cpucount(size, &processors))
  }

  /// So much a source emits at least before those of other flows go first: large against what a flow holds at
  /// work, which each in its first turn takes from the kernel anew, and done in a fraction of a second.
  static let bytesOfATurn = 64 << 20

  /// What the queues of stages lead to.
  let target: DispatchQueue
  private let count: Int
  private let queued = Atomic(0)
  private let lock = Lock()
  private var waiting: [@Sendable () -> Void] = []

  init(_ target: DispatchQueue, count: Int) {
    self.target = target
    self.count = count
  }

  /// Does work that is not a source's on a queue that leads here.
  func async(on queue: DispatchQueue, _ work: @escaping @Sendable () -> Void) {
    queued.add(1, ordering: .sequentiallyConsistent)
    queue.async {
      work()
      self.queued.subtract(1, ordering: .sequentiallyConsistent)
      self.callNext()
    }
  }

  /// Whether a source may take a step; if not, `resume` is called when it may, before that of any other
  /// that waits or after all.
  func mayRead(beforeOthers: Bool, orElse resume: @escaping @Sendable () -> Void) -> Bool {
    guard isBusy else { return true }
    return lock.withLock {
      // Looked at again: what is done since called those that waited then.
      guard isBusy else { return true }
      waiting.insert(resume, at: beforeOthers ? 0 : waiting.count)
      return false
    }
  }

  /// Says that a source takes no steps for now: another may, even if this one gave nobody anything to do.
  func sourcePauses() { callNext() }

  private var isBusy: Bool { queued.load(ordering: .sequentiallyConsistent) >= 2 * count }

  private func callNext() {
    guard !isBusy else { return }
    let next = lock.withLock { waiting.isEmpty ? nil : waiting.removeFirst() }
    next?()
  }
}

extension StageThreads? {
  /// Does work that is not a source's, on a queue that leads to these threads, or has its own.
  func async(on queue: DispatchQueue, _ work: @escaping @Sendable () -> Void) {
    if let threads = self { threads.async(on: queue, work) } else { queue.async(execute: work) }
  }
}
