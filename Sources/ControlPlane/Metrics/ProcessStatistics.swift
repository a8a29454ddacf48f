internal import Glibc
internal import Storage

/// What Prometheus' `process_*` metrics tell, out of /proc; nil where that is not there.
struct ProcessStatistics: Equatable {
  var residentBytes: Int?
  var openDescriptors: Int?
  /// Seconds since 1970.
  var startSeconds: Double?
  var cpuSeconds: Double?

  /// When the machine was started, in seconds since 1970, as the clock stood when this was first asked.
  ///
  /// Not out of /proc/stat, which a hardened service does not see (ProcSubset=pid).
  private static let bootSeconds: Double = {
    func seconds(_ clock: clockid_t) -> Double {
      var time = timespec()
      clock_gettime(clock, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    return (100 * (seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME))).rounded() / 100
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
    // The directory's own descriptor is among those listed.
    statistics.openDescriptors = (try? files.list("/proc/self/fd")).map { $0.count - 1 }

    // proc_pid_stat(5): the name may hold anything, so fields count from behind its parenthesis.
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    guard let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") else {
      return statistics
    }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 19, let user = Double(fields[11]), let system = Double(fields[12]),
      let start = Double(fields[19])
    else { return statistics }
    statistics.cpuSeconds = (user + system) / ticks
    statistics.startSeconds = bootSeconds + start / ticks
    return statistics
  }
}
