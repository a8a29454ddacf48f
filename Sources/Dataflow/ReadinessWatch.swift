internal import CLinux
internal import Glibc

// Invariants:
// - All mutable state is only touched with `lock` held.
// - A wait is resumed at most once, and never after `forget`. Numbers are not used again, so an event of a forgotten
//   wait has no effect.
// - A wait is forgotten before its descriptor is closed, because another wait may get the same descriptor.
// - `timers` is sorted, the earliest last. The thread sleeps until `wakesAt` at most.

/// Waits for descriptors and times for all runners, on one thread, with epoll(7).
///
/// It does not use `DispatchSource`. On Linux that corrupts its table of descriptors if one thread registers while
/// another cancels; then it crashes or never fires (swift-corelibs-libdispatch issue 949).
final class ReadinessWatch: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  private struct Wait {
    var descriptor: CInt
    var resume: @Sendable (Int) -> Void
  }

  private struct Timer {
    var time: Instant
    var call: @Sendable () -> Void
  }

  /// The number of the event that wakes the thread.
  private static let wakeNumber: UInt64 = 0

  private let clock: Clock
  private let lock = Lock()
  private let epoll: CInt
  private let waker: CInt
  private var waits: [Int: Wait] = [:]
  private var lastNumber = 0
  private var timers: [Timer] = []
  private var wakesAt = Instant(nanoseconds: .max)
  private var isStarted = false
  private var isStopped = false

  init(clock: Clock = .system) {
    self.clock = clock
    epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
    waker = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    precondition(epoll >= 0 && waker >= 0, "epoll_create1, eventfd: \(errno)")
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.u64 = Self.wakeNumber
    let status = epoll_ctl(epoll, EPOLL_CTL_ADD, waker, &event)
    precondition(status == 0, "epoll_ctl: \(errno)")
  }

  deinit {
    close(epoll)
    close(waker)
  }

  /// The number of threads that `start` has made.
  var made: Int { lock.withLock { isStarted ? 1 : 0 } }

  /// Makes the thread, unless it exists.
  func start() throws(ThreadError) {
    lock.lock()
    defer { lock.unlock() }
    guard !isStarted else { return }
    try startThread("watch") { self.watch() }
    isStarted = true
  }

  /// Ends the thread.
  func stop() {
    lock.withLock { isStopped = true }
    wake()
  }

  /// Calls `resume` with the returned number when the descriptor is ready, has failed or was hung up.
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
    // epoll cannot watch a regular file or a closed descriptor. Neither makes a read wait.
    if !isWatched { waits[number] = nil }
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

  /// Calls `body` once, at `time` or up to a few milliseconds later.
  func call(at time: Instant, _ body: @escaping @Sendable () -> Void) {
    let isEarlier = lock.withLock {
      // Most new timers fire after the others.
      let index = timers.firstIndex { $0.time <= time } ?? timers.count
      timers.insert(Timer(time: time, call: body), at: index)
      guard time < wakesAt else { return false }
      wakesAt = time
      return true
    }
    if isEarlier { wake() }
  }

  private func wake() { eventfd_write(waker, 1) }

  /// Resumes waits that are ready, and calls timers that are due.
  private func watch() {
    var events = [epoll_event](repeating: epoll_event(), count: 64)
    while true {
      let count = epoll_wait(epoll, &events, CInt(events.count), timeout())
      for event in events.prefix(max(0, Int(count))) {
        if event.data.u64 == Self.wakeNumber {
          var wakes: eventfd_t = 0
          eventfd_read(waker, &wakes)
        } else {
          let number = Int(event.data.u64)
          lock.withLock { waits.removeValue(forKey: number) }?.resume(number)
        }
      }
      for timer in dueTimers() { timer.call() }
      if lock.withLock({ isStopped }) { return }
    }
  }

  /// The time to sleep, in milliseconds; -1 is without limit.
  private func timeout() -> CInt {
    lock.withLock {
      wakesAt = timers.last?.time ?? Instant(nanoseconds: .max)
      guard let next = timers.last?.time else { return -1 }
      // Rounded up, so that the thread does not wake too early and spin.
      let milliseconds = (next.seconds(since: clock.now()) * 1000).rounded(.up)
      return CInt(min(max(0, milliseconds), 3_600_000))
    }
  }

  private func dueTimers() -> [Timer] {
    lock.withLock {
      var due: [Timer] = []
      guard !timers.isEmpty else { return due }
      let now = clock.now()
      while let timer = timers.last, timer.time <= now {
        due.append(timer)
        timers.removeLast()
      }
      return due
    }
  }
}
