internal import Dataflow
internal import FoundationEssentials
internal import Glibc

/// Reports the state of the daemon to the service manager (sd_notify(3)). Does nothing without a manager.
final class ServiceNotifier: Sendable {
  private let socketPath: String?
  /// The time within which the service manager expects a sign of life; nil if it expects none.
  let watchdogSeconds: Double?

  init() {
    let environment = ProcessInfo.processInfo.environment
    socketPath = environment["NOTIFY_SOCKET"]
    let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
    watchdogSeconds =
      isMeant ? environment["WATCHDOG_USEC"].flatMap(Double.init).map { $0 / 1e6 } : nil
  }

  /// Reports that a reload begins. The time, of CLOCK_MONOTONIC, lets the manager distinguish it from an older one.
  func notifyReloading(_ clock: Clock) {
    let microseconds = clock.now().nanoseconds / 1000
    notify("RELOADING=1\nMONOTONIC_USEC=\(microseconds)")
  }

  /// Sends lines of `NAME=value`. Ignores errors, because the daemon can run without the manager.
  func notify(_ text: String) {
    guard let socketPath else { return }
    let socket = Glibc.socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return }
    defer { close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // A name that begins with @ is abstract: its first byte is zero.
    var path = Array(socketPath.utf8)
    if path.first == UInt8(ascii: "@") { path[0] = 0 }
    guard path.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
    let bytes = Array(text.utf8)
    _ = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(socket, bytes, bytes.count, CInt(MSG_NOSIGNAL), $0, length)
      }
    }
  }
}
