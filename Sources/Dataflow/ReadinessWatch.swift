internal import CLinux
internal import Dispatch
internal import Glibc

// Invariants:
// - Everything mutable is touched with `lock` held.
// - A wait is resumed at most once, and not after `forget`; an event of a wait that is gone means
//   nothing, because its number does not come again.
// - A wait is forgotten before its descriptor is closed: the number may be another wait's by then.

/// Waits for descriptors on behalf of every runner of the process, on one thread, with epoll(7).
///
/// Not with `DispatchSource`: on Linux it corrupts its table of descriptors where some are
/// registered while others are cancelled, and then crashes or never fires
/// (swift-corelibs-libdispatch issue 949).
final class ReadinessWatch: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  static let shared = ReadinessWatch()

  private struct Wait {
    var descriptor: CInt
    var resume: @Sendable (Int) -> Void
  }

  private let lock = Lock()
  private let queue = DispatchQueue(label: "evenkeel.readiness")
  private let epoll: CInt
  private var waits: [Int: Wait] = [:]
  private var lastNumber = 0
  private var isPolling = false

  private init() {
    epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
    precondition(epoll >= 0, "epoll_create1: \(errno)")
  }

  /// Calls `resume` with the number returned when the descriptor is ready, failed or hung up.
  func wait(for readiness: Readiness, resume: @escaping @Sendable (Int) -> Void) -> Int {
    let (descriptor, events) =
      switch readiness {
      case .readable(let descriptor): (descriptor, EPOLLIN)
      case .writable(let descriptor): (descriptor, EPOLLOUT)
      }
    lock.lock()
    lastNumber += 1
    let number = lastNumber
    waits[number] = Wait(descriptor: descriptor, resume: resume)
    var event = epoll_event()
    event.events = events.rawValue | EPOLLONESHOT.rawValue
    event.data.u64 = UInt64(number)
    let isWatched =
      epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0
      || errno == EEXIST && epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0
    if !isWatched {
      // What cannot be watched (a regular file, a closed descriptor) never makes anyone wait.
      waits[number] = nil
    } else if !isPolling {
      isPolling = true
      queue.async { self.poll() }
    }
    lock.unlock()
    if !isWatched { resume(number) }
    return number
  }

  func forget(_ number: Int) {
    lock.withLock {
      guard let wait = waits.removeValue(forKey: number) else { return }
      epoll_ctl(epoll, EPOLL_CTL_DEL, wait.descriptor, nil)
    }
  }

  /// Resumes what is ready, for ever: a thread that sleeps in the kernel costs nothing.
  private func poll() {
    var events = [epoll_event](repeating: epoll_event(), count: 64)
    while true {
      let count = epoll_wait(epoll, &events, CInt(events.count), -1)
      for event in events.prefix(max(0, Int(count))) {
        let number = Int(event.data.u64)
        lock.withLock { waits.removeValue(forKey: number) }?.resume(number)
      }
    }
  }
}
