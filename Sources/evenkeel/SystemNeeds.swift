internal import Dataflow
internal import Dispatch
internal import Glibc
internal import Storage
internal import Stream
internal import Supervision

/// The least resources that the streams of a configuration need. They are checked before anything starts, so that a
/// limit that is too low gives an error, not a daemon that does not answer.
struct SystemNeeds {
  let threads: Int
  let descriptors: Int
  /// Bytes of address space, in addition to what the process has.
  let memory: Int

  /// Threads besides those of the stages: one for the supervisor, one for reloads, two for the control plane.
  private static let fixedThreads = 4
  private static let fixedDescriptors = 48
  /// For a source, a sink, their epoll instances, dead letters, a checkpoint that is being written, and one
  /// connection in each direction.
  private static let descriptorsOfStream = 10
  private static let fixedMemory = 64 << 20
  private static let memoryOfStream = 1 << 20
  /// The size of a thread's stack in glibc.
  private static let stackBytes = 8 << 20

  init(_ configuration: DaemonConfiguration) {
    let streams = configuration.streams.count
    threads = Self.fixedThreads + StageThreads.shared.count
    descriptors = Self.fixedDescriptors + Self.descriptorsOfStream * streams
    memory = Self.fixedMemory + Self.memoryOfStream * streams
  }

  /// - Throws: `CommandFailure` with exit code 78 that names the limit and the need.
  func check() throws {
    let descriptorsLeft = Self.descriptorsLeft
    guard descriptorsLeft >= descriptors else {
      throw CommandFailure(
        "the streams need \(descriptors) descriptors at least, the limit leaves \(descriptorsLeft): "
          + "raise LimitNOFILE= or ulimit -n", exitCode: 78)
    }
    // Starts threads to find out, because there are many limits: ulimit -u and -v, pids.max of every group above.
    let started = Self.startableThreads(atMost: threads)
    guard started >= threads else {
      throw CommandFailure(
        "the streams need \(threads) threads, the system gives \(started): raise TasksMax= (pids.max), "
          + "LimitNPROC= (ulimit -u) or LimitAS= (ulimit -v)", exitCode: 78)
    }
    if let left = Self.memoryLeft, left < memory {
      throw CommandFailure(
        "the streams need \(memory >> 20) MiB at least, the limit leaves \(left >> 20) MiB: "
          + "raise LimitAS= or ulimit -v", exitCode: 78)
    }
  }

  private static var descriptorsLeft: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
    let open = (try? POSIXFileSystem().list("/proc/self/fd").count) ?? 8
    return Int(clamping: limit.rlim_cur) - open
  }

  /// How many threads can exist at once, at most `limit`. All of them have ended on return.
  private static func startableThreads(atMost limit: Int) -> Int {
    let gate = DispatchSemaphore(value: 0)
    let ended = DispatchSemaphore(value: 0)
    var started = 0
    while started < limit {
      do {
        try startThread("trial") {
          gate.wait()
          ended.signal()
        }
      } catch {
        break
      }
      started += 1
    }
    for _ in 0..<started { gate.signal() }
    for _ in 0..<started { ended.wait() }
    return started
  }

  /// The bytes of address space up to the limit; nil without a limit.
  private static var memoryLeft: Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
      let most = Int(exactly: limit.rlim_cur), most < 1 << 46,
      let statistics = try? POSIXFileSystem().contents(of: "/proc/self/statm", limit: 4096),
      let pages = String(decoding: statistics, as: UTF8.self).split(separator: " ").first
        .flatMap({ Int($0) })
    else { return nil }
    return most - pages * sysconf(Int32(_SC_PAGESIZE))
  }
}
