internal import Synchronization

// Invariants:
// - `queued` counts the jobs of stages after sources that were queued and have not ended. None of them
//   waits for a source.
// - While a source waits, such a job is queued, or a source that reads will call the next one when it
//   pauses.

/// Makes the sources of streams from files wait while the stages after them have enough to do.
///
/// What a source reads meanwhile would only be held in memory. Sources take turns: one that waits within its
/// turn goes on before the others, so that a few streams at a time hold records, not all of them.
final class SourceGate: @unchecked Sendable {
  // @unchecked because `waiting` is only touched with `lock` held.

  /// A source emits so many bytes before the sources of other streams go first. That is large compared with
  /// what a stream holds at work, and takes a fraction of a second.
  static let bytesOfATurn = 64 << 20

  /// So many queued jobs are enough to do.
  private let limit: Int
  private let queued = Atomic(0)
  private let lock = Lock()
  private var waiting: [@Sendable () -> Void] = []

  /// - Parameter threads: the threads that the jobs take turns on.
  init(threads: Int) {
    limit = 2 * threads
  }

  /// Records that a job of a stage that is no source was queued.
  func jobWasQueued() { queued.add(1, ordering: .sequentiallyConsistent) }

  /// Records that such a job has ended.
  func jobHasEnded() {
    queued.subtract(1, ordering: .sequentiallyConsistent)
    callNext()
  }

  /// Whether a source may take a step. If not, `resume` is called when it may.
  ///
  /// - Parameter beforeOthers: whether it is called before the sources that wait already, or after them.
  func mayRead(beforeOthers: Bool, orElse resume: @escaping @Sendable () -> Void) -> Bool {
    guard isBusy else { return true }
    return lock.withLock {
      // Look again: a job that ended since then called only those that waited already.
      guard isBusy else { return true }
      waiting.insert(resume, at: beforeOthers ? 0 : waiting.count)
      return false
    }
  }

  /// Records that a source takes no steps for now, so another one may, even if this one emitted nothing.
  func sourcePauses() { callNext() }

  private var isBusy: Bool { queued.load(ordering: .sequentiallyConsistent) >= limit }

  private func callNext() {
    guard !isBusy else { return }
    let next = lock.withLock { waiting.isEmpty ? nil : waiting.removeFirst() }
    next?()
  }
}
