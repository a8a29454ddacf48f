internal import Foundation
internal import Glibc

/// `evenkeel run` in the directory of a test. The initialiser returns when the daemon is ready; deinit kills it.
///
/// Its control plane is at `control.sock`, its state under `state`.
package final class Daemon: @unchecked Sendable {
  // @unchecked because one thread at a time changes it. Other threads only read.

  package let place: Workplace
  package let notifications: NotificationSocket
  package private(set) var running: Running
  private var hasEnded = false

  /// Writes a configuration and starts the daemon.
  ///
  /// - Parameters:
  ///   - streams: the value of the key `streams`.
  ///   - settings: other keys of the configuration.
  ///   - environment: variables that are added to those of the tests.
  ///   - socket: a socket that the service manager passes, named `activated`.
  ///   - limit: a command of the shell before the start, such as `ulimit -n 100`.
  package init(
    in place: Workplace, _ streams: String, settings: String = "",
    environment: [String: String] = [:], socket: CInt? = nil, limit: String = ":"
  ) throws {
    self.place = place
    try Daemon.write(streams, settings: settings, in: place)
    notifications = try NotificationSocket(place.path("notify.sock"))
    var variables = environment
    variables["NOTIFY_SOCKET"] = notifications.path
    if socket != nil {
      variables["LISTEN_FDS"] = "1"
      variables["LISTEN_FDNAMES"] = "activated"
    }
    let assignments = variables.map { "\($0.key)=\($0.value)" }.sorted()
    let script = "\(limit); export LISTEN_PID=$$; exec env \"$@\""
    running = try place.start(
      ["/bin/sh", "-c", script, "sh"] + assignments + [binary, "run", "--config", "e.yaml"],
      input: nil, socket: socket)
    do {
      try notifications.wait(for: "READY=1", while: { !self.isOver })
    } catch {
      kill()
      throw NotReady(log: log)
    }
  }

  /// The daemon did not become ready.
  private struct NotReady: Error {
    var log: String
  }

  deinit { if !hasEnded { kill() } }

  package static func write(_ streams: String, settings: String = "", in place: Workplace) throws {
    let indented = streams.split(separator: "\n", omittingEmptySubsequences: false)
      .map { "  " + $0 }.joined(separator: "\n")
    // On a loaded machine, the default would end a drain that works.
    let timeout = settings.contains("shutdown_timeout") ? "" : "shutdown_timeout: 10m"
    let text = """
      state_directory: state
      control: { listen: "unix:\(place.path("control.sock"))" }
      \(timeout)
      \(settings)
      streams:
      \(indented)

      """
    // Renamed into place, so that a reload never reads half a file.
    try place.write("e.yaml.new", text.utf8)
    rename(place.path("e.yaml.new"), place.path("e.yaml"))
  }

  /// The log of the daemon so far.
  package var log: String { (try? String(contentsOfFile: running.errors, encoding: .utf8)) ?? "" }

  /// Sends a signal to stop, and waits for the end.
  package func stop(_ number: Int32 = SIGTERM) throws -> Finished {
    running.signal(number)
    return try end()
  }

  /// Waits for the end. A daemon that hangs is killed.
  package func end() throws -> Finished {
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while !isOver {
      if ContinuousClock.now > deadline { running.signal(SIGKILL) }
      usleep(2000)
    }
    hasEnded = true
    return try running.wait()
  }

  private var isOver: Bool {
    var info = siginfo_t()
    waitid(P_PID, id_t(running.identifier), &info, WEXITED | WNOHANG | WNOWAIT)
    return info.si_signo != 0
  }

  private func kill() {
    running.signal(SIGKILL)
    _ = try? running.wait()
    hasEnded = true
  }

  /// A line of /proc/PID/status, such as `VmRSS` and `VmHWM`, in bytes. It is 0 under a sanitizer, which has a large
  /// memory of its own.
  package func memory(_ name: String) throws -> Int {
    guard !isSanitized else { return 0 }
    let text = try String(contentsOfFile: "/proc/\(running.identifier)/status", encoding: .utf8)
    let lines = text.split(separator: "\n")
    let line = try required(lines.first { $0.hasPrefix(name + ":") }, name)
    return try required(Int(line.split(separator: " ").dropLast().last ?? ""), name) * 1024
  }

  /// The number of threads of the process.
  package func threadCount() throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(running.identifier)/status", encoding: .utf8)
    let line = try required(
      text.split(separator: "\n").first { $0.hasPrefix("Threads:") }, "Threads")
    return try required(Int(line.split(separator: "\t").last ?? ""), String(line))
  }

  /// Whether a descriptor of the process leads to a file of its directory.
  package func hasOpen(_ name: String) -> Bool {
    let descriptors = "/proc/\(running.identifier)/fd"
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []
    return numbers.contains {
      let target = try? FileManager.default.destinationOfSymbolicLink(
        atPath: "\(descriptors)/\($0)")
      return target == place.path(name)
    }
  }

  /// The number of open descriptors.
  package var descriptorCount: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(running.identifier)/fd"))?.count
      ?? 0
  }

  // MARK: The control plane

  /// Sends a request over the control socket.
  package func ask(
    _ method: String, _ path: String, _ body: String? = nil
  ) throws -> (status: Int, body: String) {
    let peer = try Peer(unix: place.path("control.sock"))
    var head = "\(method) \(path) HTTP/1.1\r\nHost: evenkeel\r\nConnection: close\r\n"
    if let body {
      head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
    } else if method != "GET" {
      head += "Content-Length: 0\r\n"
    }
    peer.send(head + "\r\n" + (body ?? ""))
    let answer = String(decoding: peer.rest(), as: UTF8.self)
    let status = try required(
      Int(answer.split(separator: " ").dropFirst().first ?? ""), "a status in '\(answer)'")
    let end = try required(answer.range(of: "\r\n\r\n"), "the end of the head")
    return (status, String(answer[end.upperBound...]))
  }

  /// A member of a stream's status.
  package func status<Value>(of stream: String = "s", _ member: String, as _: Value.Type) throws
    -> Value
  {
    let body = try ask("GET", "/api/v1/streams/\(stream)").body
    let members = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
    return try required(members?[member] as? Value, "\(member) in \(body)")
  }

  package func count(_ member: String, of stream: String = "s") throws -> Int {
    try status(of: stream, member, as: Int.self)
  }

  /// The members of a stream's features, in their order.
  package func features(of stream: String = "s") throws -> [[String: Any]] {
    let body = try ask("GET", "/api/v1/streams/\(stream)/features").body
    let members = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
    return try required(members?["features"] as? [[String: Any]], "features in \(body)")
  }

  /// The value of a metric, by its name and labels.
  package func metric(_ name: String) throws -> Double? {
    let lines = try ask("GET", "/metrics").body.split(separator: "\n")
    return lines.first { $0.hasPrefix(name + " ") }.flatMap { Double($0.split(separator: " ")[1]) }
  }
}

/// The socket on which the service manager receives the messages of sd_notify(3).
package final class NotificationSocket: @unchecked Sendable {
  // @unchecked because only the thread of the test uses `received`.

  package let path: String
  private let number: CInt
  /// All messages so far.
  package private(set) var received: [String] = []

  package init(_ path: String) throws {
    self.path = path
    unlink(path)
    number = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var reason: Int32 = 0
    try withUnixAddress(path) { if bind(number, $0, $1) != 0 { reason = errno } }
    guard reason == 0 else { throw POSIXError(POSIXErrorCode(rawValue: reason) ?? .EINVAL) }
  }

  deinit {
    close(number)
  }

  /// Waits for a message with that line. A `*` at its end matches any text. All messages are kept.
  package func wait(
    for line: String, while isAlive: () -> Bool = { true }
  ) throws {
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    var buffer = [UInt8](repeating: 0, count: 4096)
    while ContinuousClock.now < deadline, isAlive() {
      var query = pollfd(fd: number, events: CShort(POLLIN), revents: 0)
      guard poll(&query, 1, 100) > 0 else { continue }
      let count = recv(number, &buffer, buffer.count, 0)
      let message = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
      received.append(message)
      let isIt: (Substring) -> Bool =
        line.hasSuffix("*") ? { $0.hasPrefix(line.dropLast()) } : { $0 == line }
      if message.split(separator: "\n").contains(where: isIt) { return }
    }
    throw POSIXError(.ETIMEDOUT, userInfo: ["line": line, "received": received])
  }
}
