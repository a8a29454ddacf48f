internal import CLinux
internal import Dataflow

/// Gives the memory of streams that have left back to the system. The heap would keep it for others (docs/decisions/0012).
final class FreedMemory: @unchecked Sendable {
  // @unchecked because everything happens on `thread`.

  /// The last stages of a stream may hold some for a moment.
  private static let seconds = 5.0

  private let thread: SerialThread
  private var isDue = false

  init(on thread: SerialThread) { self.thread = thread }

  /// Has it given back in some seconds, once for all streams that leave until then.
  func returnSoon() {
    guard !isDue else { return }
    isDue = true
    thread.after(seconds: Self.seconds) { [weak self] in
      self?.isDue = false
      malloc_trim(0)
    }
  }
}
