internal import CLinux
internal import Glibc

// Invariants:
// - Everything mutable is touched with `lock` held.
// - A wait is resumed at most once, and not after `forget`. An event of a wait that is gone means
//   nothing, because its number does not come again.
// - A wait is forgotten before its descriptor is closed: the number may be another wait's by then.
// - `timers` is sorted, the earliest last. The thread sleeps no longer than until `wakesAt`.

/// Waits for descriptors and times on behalf of every runner, on one thread, with epoll(7).
///
/// Not with `DispatchSource`: on Linux it corrupts its table of descriptors if some are registered while
/// others are cancelled, and then crashes or never fires (swift-corelibs-libdispatch issue 949).
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

  /// Of the event that wakes the thread.
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

  /// How many threads `start` has made.
  var made: Int { lock.withLock { isStarted ? 1 : 0 } }

  /// Makes the thread, unless it was made already.
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
    // What cannot be watched (a regular file, a closed descriptor) never makes anyone wait.
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
      // Most timers end after those that were set before.
      let index = timers.firstIndex { $0.time <= time } ?? timers.count
      timers.insert(Timer(time: time, call: body), at: index)
      guard time < wakesAt else { return false }
      wakesAt = time
      return true
    }
    if isEarlier { wake() }
  }

  private func wake() { eventfd_write(waker, 1) }

  /// Resumes what is ready and calls what is due.
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

  /// How long to sleep, in milliseconds; -1 is until an event.
  private func timeout() -> CInt {
    lock.withLock {
      wakesAt = timers.last?.time ?? Instant(nanoseconds: .max)
      guard let next = timers.last?.time else { return -1 }
      // Rounded up: a timer that is asked too early is asked again and again.
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
