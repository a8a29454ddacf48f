internal import Dataflow
internal import Dispatch
package import Logging
package import Storage
package import Stream

// Invariants:
// - `streams` is only touched with `lock` held; changes of it are made one after another on `queue`.
// - Nobody else has the state directory.

/// The daemon: every stream of a configuration, each supervised by itself.
package final class Supervisor: StreamSupervision, @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  private let lock = Lock()
  private let queue = DispatchQueue(label: "evenkeel.supervisor")
  private let fileSystem: any FileSystem
  private let logger: Logger
  private let stateDirectory: String
  private let stateLock: StateDirectoryLock
  private var streams: [String: SupervisedStream] = [:]
  private var isDraining = false

  /// Takes the state directory; nothing runs yet.
  package init(
    stateDirectory: String, fileSystem: any FileSystem = POSIXFileSystem(), logger: Logger
  ) throws(StreamError) {
    self.stateDirectory = stateDirectory
    self.fileSystem = fileSystem
    self.logger = logger
    do {
      stateLock = try StateDirectoryLock(stateDirectory, in: fileSystem)
    } catch {
      throw StreamError(error)
    }
  }

  /// Starts what is new, drains what is gone, and starts anew what has changed, from its moments; what
  /// has not changed is not touched. What takes longer to drain than a stop may is abandoned.
  /// `completion` is called when all of it is done.
  package func apply(
    _ configuration: DaemonConfiguration, completion: @escaping @Sendable () -> Void = {}
  ) {
    queue.async {
      let present = self.lock.withLock { self.streams }
      let wanted = Dictionary(uniqueKeysWithValues: configuration.streams.map { ($0.name, $0) })
      let leaving = present.filter { name, stream in
        wanted[name]?.fingerprint != stream.definition.fingerprint
      }
      // One whose reader is absent would hold up the reload, and all that follows it, for ever.
      _ = Self.drain(
        Array(leaving.values), timeoutSeconds: configuration.shutdownTimeoutSeconds)
      let started = DispatchGroup()
      for definition in configuration.streams
      where present[definition.name] == nil
        || leaving[definition.name] != nil
      {
        let stream = SupervisedStream(
          definition, stateDirectory: self.stateDirectory,
          takesOtherCheckpoints: leaving[definition.name] != nil, fileSystem: self.fileSystem,
          logger: self.logger)
        self.lock.withLock { self.streams[definition.name] = stream }
        started.enter()
        stream.start { started.leave() }
      }
      started.wait()
      self.lock.withLock {
        self.streams = self.streams.filter { wanted[$0.key] != nil }
      }
      completion()
    }
  }

  /// Drains every stream; what takes longer than `timeoutSeconds` is abandoned. `completion` is told
  /// whether all were drained.
  package func stop(
    timeoutSeconds: Double, completion: @escaping @Sendable (_ isDrained: Bool) -> Void
  ) {
    queue.async {
      let streams = self.lock.withLock {
        self.isDraining = true
        return Array(self.streams.values)
      }
      let isDrained = Self.drain(streams, timeoutSeconds: timeoutSeconds)
      self.stateLock.release()
      completion(isDrained)
    }
  }

  /// Drains streams; those that take longer are abandoned. Returns whether none was.
  private static func drain(_ streams: [SupervisedStream], timeoutSeconds: Double) -> Bool {
    let left = DispatchGroup()
    for stream in streams {
      left.enter()
      stream.stop { left.leave() }
    }
    guard left.wait(timeout: .now() + timeoutSeconds) != .success else { return true }
    for stream in streams { stream.abandon() }
    _ = left.wait(timeout: .now() + 2)
    return false
  }

  // MARK: StreamSupervision

  package func statuses() -> [StreamStatus] {
    lock.withLock { Array(streams.values) }.map(\.status).sorted { $0.name < $1.name }
  }

  package func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus] {
    try find(stream).features
  }

  package func carryOut(
    _ command: StreamCommand, on stream: String
  ) async throws(CommandRefusal) {
    let stream = try find(stream)
    let result = await withCheckedContinuation { continuation in
      stream.request(command) { continuation.resume(returning: $0) }
    }
    try result.get()
  }

  package func unreadiness() -> [String] {
    if lock.withLock({ isDraining }) { return ["the daemon is draining"] }
    return statuses().compactMap { status in
      switch status.state {
      case .running, .finished: nil
      case .starting, .draining: "stream '\(status.name)' is \(status.state.rawValue)"
      case .backingOff, .failed:
        "stream '\(status.name)' has failed: \(status.lastError ?? "unknown")"
      }
    }
  }

  private func find(_ name: String) throws(CommandRefusal) -> SupervisedStream {
    guard let stream = lock.withLock({ streams[name] }) else { throw .noSuchStream(name) }
    return stream
  }
}
