internal import CLinux
internal import Dataflow
internal import Glibc
internal import Storage

/// The values of Prometheus' `process_*` metrics, from /proc, and the heap. A value is nil if /proc does not have it.
struct ProcessStatistics: Equatable {
  var residentBytes: Int?
  /// Bytes that the program has allocated and not freed. Free memory that the heap keeps is not among them.
  var heapBytes = 0
  var openDescriptors: Int?
  var mostDescriptors: Int?
  var threads: Int?
  /// Seconds since 1970.
  var startSeconds: Double?
  var cpuSeconds: Double?

  /// When the machine started, in seconds since 1970, by the wall clock at the first call.
  ///
  /// Not from /proc/stat, which a hardened service cannot read (ProcSubset=pid).
  private static let bootSeconds: Double = {
    // `Clock` has no CLOCK_BOOTTIME, which counts from the start of the machine, as /proc does.
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    let uptime = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    return (100 * (Clock.system.wallSeconds() - uptime)).rounded() / 100
  }()

  static func current() -> ProcessStatistics {
    let files = POSIXFileSystem()
    func text(_ path: String) -> String? {
      (try? files.contents(of: path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
    }
    var statistics = ProcessStatistics()
    let resident = text("/proc/self/statm")?.split(separator: " ").dropFirst().first
    statistics.residentBytes = resident.flatMap { Int($0) }.map {
      $0 * sysconf(Int32(_SC_PAGESIZE))
    }
    let heap = mallinfo2()
    statistics.heapBytes = heap.uordblks + heap.hblkhd
    // The list contains the directory's own descriptor.
    statistics.openDescriptors = (try? files.list("/proc/self/fd")).map { $0.count - 1 }

    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      statistics.mostDescriptors = Int(clamping: limit.rlim_cur)
    }
    // proc_pid_stat(5): the name may contain any characters, so fields count from after its parenthesis.
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    guard let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") else {
      return statistics
    }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 19, let user = Double(fields[11]), let system = Double(fields[12]),
      let start = Double(fields[19])
    else { return statistics }
    statistics.threads = Int(fields[17])
    statistics.cpuSeconds = (user + system) / ticks
    statistics.startSeconds = bootSeconds + start / ticks
    return statistics
  }
}
