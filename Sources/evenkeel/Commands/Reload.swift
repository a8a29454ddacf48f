internal import ArgumentParser
internal import ControlPlane
internal import Dataflow
internal import FoundationEssentials
internal import Glibc
internal import Records
internal import Stream

/// `evenkeel reload`: makes a running daemon apply its changed configuration, and reports the result.
struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Makes a running daemon apply its changed configuration, and waits for the result.",
    discussion: """
      The exit code is 0 if the daemon has applied the file. It is 78 if the daemon has refused the file; then all \
      streams continue with the old one. It is 69 if the daemon stopped before it had applied the file. The command asks the daemon over the control plane that the file names. \
      With control.listen: off, the command checks the file and sends the signal, and the daemon's log has the result.
      """)

  @Option(help: ArgumentHelp("The configuration of the daemon.", valueName: "file"))
  var config: String

  @Option(help: ArgumentHelp("The process of the daemon.", valueName: "number"))
  var pid: Int32

  private static let secondsBetweenLooks = 0.05
  /// Additional to the time that the streams may take to drain.
  private static let graceSeconds = 15.0

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let configuration: DaemonConfiguration
    do {
      configuration = try DaemonConfiguration.load(config) { environment[$0] }
    } catch {
      // The daemon refuses the file as well, and records that it did.
      try signalDaemon()
      throw CommandFailure("\(error)", exitCode: 78)
    }
    let addresses = try configuration.control.addresses
    // A flood of TCP connections does not reach a Unix socket.
    guard let address = addresses.first(where: \.isUnix) ?? addresses.first else {
      return try signalDaemon()
    }
    let client = ControlClient(address)
    let before: DaemonView
    do throws(ControlError) {
      before = try client.daemon()
    } catch {
      throw CommandFailure(
        "\(error); a change of control.listen needs a restart", exitCode: error.exitCode)
    }
    try signalDaemon()
    try waitForOutcome(
      from: client, after: before.reloads,
      seconds: configuration.shutdownTimeoutSeconds + Self.graceSeconds)
  }

  /// The name of a process; nil if there is none.
  private static func name(of process: String) -> String? {
    try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
  }

  /// Whether the daemon's process is gone, or waits for its parent to take note of its end.
  private var hasEnded: Bool {
    guard kill(pid, 0) == 0 || errno == EPERM else { return true }
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return false }
    // proc_pid_stat(5): the state follows the name.
    return text[end...].dropFirst(2).first == "Z"
  }

  private func signalDaemon() throws {
    // Another process may have the number of a daemon that has ended.
    if let found = Self.name(of: "\(pid)"), let own = Self.name(of: "self"), found != own {
      throw CommandFailure(
        "process \(pid): expected a daemon, found \(quoted(found.filter { !$0.isNewline }))",
        exitCode: 69)
    }
    guard kill(pid, SIGHUP) == 0 else {
      let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
      throw CommandFailure("cannot signal process \(pid): \(reason)", exitCode: 69)
    }
  }

  private func waitForOutcome(
    from client: ControlClient, after count: Int, seconds: Double
  ) throws {
    let clock = Clock.system
    let end = clock.now() + seconds
    while clock.now() < end {
      // A busy daemon may fail to answer once.
      // Asked first: a daemon that has ended may have applied the file before.
      let hasEnded = hasEnded
      if let daemon = try? client.daemon(), daemon.reloads > count, let last = daemon.lastReload {
        guard let error = last.error else { return }
        guard !daemon.draining else { throw CommandFailure(error, exitCode: 69) }
        throw CommandFailure(
          "refused, all streams continue with the old configuration: \(error)", exitCode: 78)
      }
      if hasEnded {
        throw CommandFailure(
          "the daemon stopped before the configuration was applied", exitCode: 69)
      }
      usleep(UInt32(Self.secondsBetweenLooks * 1e6))
    }
    throw CommandFailure("no outcome within \(Int(seconds)) s; see the daemon's log", exitCode: 75)
  }
}
