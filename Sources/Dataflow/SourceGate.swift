internal import Synchronization

// Invariants:
// - `queued` is the number of queued or running jobs of stages that are no sources. None of them waits for a source.
// - While a source waits, such a job is queued, or a source that reads will call the next one when it pauses.

/// Makes the sources of streams from files wait while the stages after them have enough work.
///
/// Otherwise the records that they read would only fill memory. Sources take turns: a source that must wait within
/// its turn goes before the others. So only a few streams at a time hold records.
final class SourceGate: @unchecked Sendable {
  // @unchecked because `waiting` is only touched with `lock` held.

  /// The bytes that a source emits before the sources of other streams go first. The number is large compared with
  /// the records that a stream holds, and takes a fraction of a second.
  static let bytesOfATurn = 64 << 20

  /// The number of queued jobs that is enough work.
  let limit: Int
  private let queued = Atomic(0)
  private let lock = Lock()
  private var waiting: [@Sendable () -> Void] = []

  /// - Parameter threads: the number of threads that run the jobs.
  init(threads: Int) {
    // With two a thread, a thread of a stream of raw floats had no job for a tenth of the time.
    limit = 3 * threads
  }

  /// Records that a job of a stage that is no source was queued.
  func jobWasQueued() { queued.add(1, ordering: .sequentiallyConsistent) }

  /// Records that such a job has ended.
  func jobHasEnded() {
    queued.subtract(1, ordering: .sequentiallyConsistent)
    callNext()
  }

  /// Whether a source may take a step. If not, the gate calls `resume` when it may.
  ///
  /// - Parameter beforeOthers: whether `resume` is called before those of the sources that wait already.
  func mayRead(beforeOthers: Bool, orElse resume: @escaping @Sendable () -> Void) -> Bool {
    guard isBusy else { return true }
    return lock.withLock {
      // Look again: a job may have ended meanwhile, and it called only sources that waited before.
      guard isBusy else { return true }
      waiting.insert(resume, at: beforeOthers ? 0 : waiting.count)
      return false
    }
  }

  /// Records that a source takes no steps for now. Another source may then read, even if this one emitted nothing.
  func sourcePauses() { callNext() }

  private var isBusy: Bool { queued.load(ordering: .sequentiallyConsistent) >= limit }

  private func callNext() {
    guard !isBusy else { return }
    let next = lock.withLock { waiting.isEmpty ? nil : waiting.removeFirst() }
    next?()
  }
}
