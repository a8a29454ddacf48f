internal import Dataflow
internal import Glibc

/// Waits for signals on the thread that makes it. It blocks them in this thread and in all threads that this one
/// starts.
struct SignalWait {
  private var set = sigset_t()

  init(_ numbers: [Int32]) {
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    block(numbers)
  }

  /// The next signal; nil if none comes within `seconds`. If `seconds` is nil, waits without limit.
  func next(within seconds: Double?) -> Int32? {
    var set = set
    guard let seconds else {
      var number: Int32 = 0
      return sigwait(&set, &number) == 0 ? number : nil
    }
    let bounded = min(seconds, 86_400)
    var time = timespec(
      tv_sec: Int(bounded), tv_nsec: Int((bounded - bounded.rounded(.down)) * 1e9))
    let number = sigtimedwait(&set, nil, &time)
    return number > 0 ? number : nil
  }
}

/// Blocks signals in this thread, and in all threads that it starts.
func block(_ numbers: [Int32]) {
  var signals = sigset_t()
  sigemptyset(&signals)
  for number in numbers { sigaddset(&signals, number) }
  pthread_sigmask(SIG_BLOCK, &signals, nil)
}

/// Lets signals through that the parent of the process may have blocked.
func unblock(_ numbers: [Int32]) {
  var signals = sigset_t()
  sigemptyset(&signals)
  for number in numbers { sigaddset(&signals, number) }
  pthread_sigmask(SIG_UNBLOCK, &signals, nil)
}

/// Raises the limit of descriptors as far as the system allows. Every stream and every connection needs some, and the
/// usual limit is made for select(2), which this program does not use.
func raiseDescriptorLimit() {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
