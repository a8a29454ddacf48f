internal import ControlPlane
internal import Dataflow
internal import Dispatch
internal import Glibc
internal import Storage
internal import Stream
internal import Supervision

/// The least resources that the streams of a configuration need. They are checked before anything starts, so that a
/// limit that is too low gives an error, not a daemon that does not answer.
struct SystemNeeds {
  /// All descriptors of the process.
  let descriptors: Int
  /// Threads of libraries, such as the clients of Kafka.
  let libraryThreads: Int
  /// Bytes of address space, in addition to what the process has without streams.
  let memory: Int

  /// Threads besides those of the stages: one for the supervisor, one for reloads, two for the control plane.
  private static let fixedThreads = 4
  /// For the watch of descriptors (2) and the lock of the state directory.
  private static let fixedDescriptors = 3
  /// For files that are open for a moment: checkpoints and directories that are being written, the configuration, a
  /// message to the service manager, a connection to the control plane.
  private static let passingDescriptors = 8
  private static let fixedMemory = 64 << 20
  private static let memoryOfStream = 1 << 20

  /// - Parameter inheritedDescriptors: those that the process had before it opened any itself.
  init(_ configuration: DaemonConfiguration, inheritedDescriptors: Int) {
    let streams = configuration.streams
    descriptors =
      inheritedDescriptors + Self.fixedDescriptors + Self.passingDescriptors
      + ControlServer.descriptorCount(addresses: configuration.control.listen.count)
      + streams.map(\.descriptorCount).reduce(0, +)
    libraryThreads = streams.map(\.threadCount).reduce(0, +)
    memory = Self.fixedMemory + Self.memoryOfStream * streams.count
  }

  /// Checks the needs of a start.
  ///
  /// - Throws: `CommandFailure` with exit code 78 that names the limit and the need.
  func check() throws {
    try checkDescriptors()
    // Starts threads to find out, because there are many limits: ulimit -u and -v, pids.max of every group above.
    let threads = Self.fixedThreads + StageThreads.shared.count + libraryThreads
    let started = Self.startableThreads(atMost: threads)
    guard started >= threads else {
      let clients = libraryThreads > 0 ? ", \(libraryThreads) of them for the clients of Kafka" : ""
      throw CommandFailure(
        "the streams need \(threads) threads\(clients), the system gives \(started): raise TasksMax= (pids.max), "
          + "LimitNPROC= (ulimit -u) or LimitAS= (ulimit -v)", exitCode: 78)
    }
    try checkMemory(memory)
  }

  /// Checks the needs of a reload. The threads exist already: their number depends on no configuration.
  ///
  /// - Parameter running: the needs of the streams that run.
  /// - Throws: `CommandFailure` with exit code 78 that names the limit and the need.
  func check(after running: SystemNeeds) throws {
    try checkDescriptors()
    try checkMemory(memory - running.memory)
  }

  private func checkDescriptors() throws {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let most = Int(clamping: limit.rlim_cur)
    guard most >= descriptors else {
      throw CommandFailure(
        "the streams need \(descriptors) descriptors at least, the limit is \(most): "
          + "raise LimitNOFILE= or ulimit -n", exitCode: 78)
    }
  }

  private func checkMemory(_ needed: Int) throws {
    guard needed > 0, let left = Self.memoryLeft, left < needed else { return }
    throw CommandFailure(
      "the streams need \(needed >> 20) MiB at least, the limit leaves \(max(0, left) >> 20) MiB: "
        + "raise LimitAS= or ulimit -v", exitCode: 78)
  }

  /// The number of open descriptors of the process.
  static var openDescriptors: Int {
    // The list contains the directory's own descriptor. A process that cannot list has the standard streams at least.
    (try? POSIXFileSystem().list("/proc/self/fd").count - 1) ?? 3
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
