internal import ArgumentParser
internal import ControlPlane
internal import Dispatch
internal import Foundation
internal import Glibc
internal import Logging
internal import Stream
internal import Supervision

/// Drives the daemon on behalf of the service manager: signals, reloads, the control plane.
final class Daemon: @unchecked Sendable {
  // @unchecked because what changes is only touched on `queue`.

  private let configurationFile: String
  private let serviceNotifier = ServiceNotifier()
  private let queue = DispatchQueue(label: "evenkeel.daemon")
  private var configuration: DaemonConfiguration
  private var isStopping = false
  private var isDrained = true

  /// Reads the configuration; nothing runs yet.
  init(configurationFile: String) throws {
    self.configurationFile = configurationFile
    configuration = try Self.load(configurationFile)
  }

  private static func load(_ file: String) throws -> DaemonConfiguration {
    let environment = ProcessInfo.processInfo.environment
    return try DaemonConfiguration.load(file) { environment[$0] }
  }

  /// Runs until a signal stops it.
  func run() throws {
    let handled = [SIGTERM, SIGINT, SIGHUP]
    block(handled)
    // A reader that has gone is an error of the write, and costs its stream alone.
    signal(SIGPIPE, SIG_IGN)
    raiseDescriptorLimit()
    let options = configuration.log
    LoggingSystem.bootstrap { label in
      LineLogHandler(label: label, level: options.level, format: options.format)
    }
    let logger = Logger(label: "evenkeel")
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory, logger: logger)
    let control = try configuration.control.settings(configuration.metrics).map { settings in
      try ControlServer(settings, supervision: supervisor, logger: logger)
    }
    let serving = control.map { server in Task { await server.run() } }
    supervisor.apply(configuration) { [self] in
      let addresses = control?.addresses.map { "\($0)" }.joined(separator: ", ") ?? "off"
      logger.notice(
        "evenkeel runs",
        metadata: [
          "streams": "\(supervisor.statuses().count)", "control": "\(addresses)",
        ])
      serviceNotifier.notify("READY=1\nSTATUS=\(supervisor.statuses().count) streams")
    }
    let isOver = DispatchSemaphore(value: 0)
    let sources = handled.map { number in
      onSignal(number) { [self] in
        if number == SIGHUP {
          reload(supervisor, control, logger)
        } else {
          stop(supervisor, logger) { isOver.signal() }
        }
      }
    }
    let watchdog = beginWatchdog(supervisor)
    isOver.wait()
    watchdog.cancel()
    for source in sources { source.cancel() }
    if let control {
      let stopped = DispatchSemaphore(value: 0)
      Task {
        await control.stop()
        await serving?.value
        stopped.signal()
      }
      _ = stopped.wait(timeout: .now() + 3)
    }
    guard queue.sync(execute: { isDrained }) else {
      throw CommandFailure("stopped before everything that was read was emitted", exitCode: 75)
    }
  }

  // MARK: Signals

  /// Applies the changed file all or nothing; a bad one leaves everything running and says why.
  private func reload(_ supervisor: Supervisor, _ control: ControlServer?, _ logger: Logger) {
    guard !isStopping else { return }
    serviceNotifier.notifyReloading()
    let changed: DaemonConfiguration
    do {
      changed = try Self.load(configurationFile)
      for (key, isSame) in [
        ("state_directory", changed.stateDirectory == configuration.stateDirectory),
        ("control", changed.control == configuration.control),
      ] where !isSame {
        throw StreamError.configuration("\(key): a change needs a restart")
      }
    } catch {
      logger.error("configuration refused, everything runs on as before: \(error)")
      return serviceNotifier.notify("READY=1\nSTATUS=configuration refused")
    }
    configuration = changed
    let applied = DispatchSemaphore(value: 0)
    supervisor.apply(changed) { applied.signal() }
    applied.wait()
    if let control {
      Task {
        do {
          try await control.reloadToken()
        } catch {
          logger.error("token file refused, the old token stays: \(error)")
        }
      }
    }
    logger.notice("configuration applied", metadata: ["streams": "\(changed.streams.count)"])
    serviceNotifier.notify("READY=1\nSTATUS=\(changed.streams.count) streams")
  }

  private func stop(
    _ supervisor: Supervisor, _ logger: Logger, completion: @escaping @Sendable () -> Void
  ) {
    guard !isStopping else { _exit(75) }
    isStopping = true
    logger.notice("draining")
    serviceNotifier.notify("STOPPING=1\nSTATUS=draining")
    supervisor.stop(timeoutSeconds: configuration.shutdownTimeoutSeconds) { [self] isDrained in
      queue.sync { self.isDrained = isDrained }
      if isDrained {
        logger.notice("drained")
      } else {
        logger.error("stopped before everything was drained")
      }
      completion()
    }
  }

  private func onSignal(
    _ number: Int32, _ handler: @escaping @Sendable () -> Void
  ) -> any DispatchSourceSignal {
    let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
    source.setEventHandler { handler() }
    source.activate()
    return source
  }

  /// Tells the service manager regularly that the streams still answer, where it wants to know.
  private func beginWatchdog(_ supervisor: Supervisor) -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: .global())
    let seconds = serviceNotifier.watchdogSeconds.map { $0 / 2 } ?? 3600
    timer.setEventHandler { [serviceNotifier] in
      let running = supervisor.statuses().count { $0.state == .running }
      serviceNotifier.notify("WATCHDOG=1\nSTATUS=\(running) streams running")
    }
    timer.schedule(deadline: .now() + seconds, repeating: seconds)
    timer.activate()
    return timer
  }
}

extension ControlOptions {
  /// What the control server needs, or nil where it is off.
  func settings(_ metrics: MetricsOptions) throws -> ControlSettings? {
    let text: String
    switch listen {
    case .off: return nil
    case .unix(let path): text = "unix:\(path)"
    case .tcp(let host, let port):
      text = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
    var settings = ControlSettings(
      addresses: [try ControlAddress(text)], tokenFile: tokenFile,
      version: Evenkeel.configuration.version)
    switch metrics.perFeature {
    case nil: settings.featureMetrics = .automatic
    case true?: settings.featureMetrics = .all
    case false?: settings.featureMetrics = FeatureMetrics.none
    }
    return settings
  }
}

/// Blocks signals in this thread, and so in all that it starts.
func block(_ numbers: [Int32]) {
  var signals = sigset_t()
  sigemptyset(&signals)
  for number in numbers { sigaddset(&signals, number) }
  pthread_sigmask(SIG_BLOCK, &signals, nil)
}

/// Allows as many descriptors as the system lets this process have: every stream and every connection
/// takes some, and the usual limit is made for select(2), which is not used here.
func raiseDescriptorLimit() {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
