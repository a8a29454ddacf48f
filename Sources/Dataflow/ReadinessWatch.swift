internal import Dispatch
internal import Glibc

// Invariants:
// - Everything mutable is touched with `lock` held.
// - A wait is resumed at most once, and not after `forget`; descriptors that poll(2) still has of a
//   wait that is gone mean nothing.
// - `isPolling` while there are waits, and then one thread polls.

/// Waits for descriptors on behalf of every runner of the process, on one thread.
///
/// Not with `DispatchSource`: on Linux it corrupts its table of descriptors where some are
/// registered while others are cancelled, and then crashes or never fires
/// (swift-corelibs-libdispatch issue 949).
final class ReadinessWatch: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  static let shared = ReadinessWatch()

  private struct Wait {
    var query: pollfd
    var resume: @Sendable (Int) -> Void
  }

  private let lock = Lock()
  private let queue = DispatchQueue(label: "evenkeel.readiness")
  /// A pipe that interrupts poll(2); -1 where there could be none.
  private let interrupted: CInt
  private let interrupting: CInt
  private var waits: [Int: Wait] = [:]
  private var lastNumber = 0
  private var isPolling = false

  private init() {
    var ends: [CInt] = [-1, -1]
    if pipe(&ends) == 0 {
      for end in ends {
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      }
    }
    (interrupted, interrupting) = (ends[0], ends[1])
  }

  /// Calls `resume` with the number returned when the descriptor is ready, failed or hung up.
  func wait(for readiness: Readiness, resume: @escaping @Sendable (Int) -> Void) -> Int {
    let query =
      switch readiness {
      case .readable(let descriptor):
        pollfd(fd: descriptor, events: CShort(POLLIN), revents: 0)
      case .writable(let descriptor):
        pollfd(fd: descriptor, events: CShort(POLLOUT), revents: 0)
      }
    return lock.withLock {
      lastNumber += 1
      waits[lastNumber] = Wait(query: query, resume: resume)
      if isPolling {
        interrupt()
      } else {
        isPolling = true
        queue.async { self.poll() }
      }
      return lastNumber
    }
  }

  func forget(_ number: Int) {
    lock.withLock {
      if waits.removeValue(forKey: number) != nil { interrupt() }
    }
  }

  /// Makes the polling thread look at `waits` again.
  private func interrupt() {
    var byte: UInt8 = 0
    // A full pipe interrupts as well.
    _ = write(interrupting, &byte, 1)
  }

  private func poll() {
    while let (numbers, asked) = lock.withLock({ next() }) {
      var queries = asked
      // Without a pipe it looks by itself, often enough for a person not to notice.
      let milliseconds: CInt = interrupted < 0 ? 20 : -1
      guard Glibc.poll(&queries, nfds_t(queries.count), milliseconds) > 0 else { continue }
      if queries[numbers.count].revents != 0 {
        var bytes: (UInt64, UInt64) = (0, 0)
        _ = read(interrupted, &bytes, MemoryLayout.size(ofValue: bytes))
      }
      for (number, query) in zip(numbers, queries) where query.revents != 0 {
        lock.withLock { waits.removeValue(forKey: number) }?.resume(number)
      }
    }
  }

  /// The waits there are, and what to poll for: theirs, then the interrupt; nil ends the polling.
  private func next() -> ([Int], [pollfd])? {
    isPolling = !waits.isEmpty
    guard isPolling else { return nil }
    let queries = waits.values.map(\.query)
    return (
      Array(waits.keys),
      queries + [pollfd(fd: interrupted, events: CShort(POLLIN), revents: 0)]
    )
  }
}
