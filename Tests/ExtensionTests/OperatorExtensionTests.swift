import Codecs
import Configuration
import Connectors
import Foundation
import Logging
import Operators
import State
import Storage
import Supervision
import Synchronization
import TestSupport
import Testing

@testable import ControlPlane
@testable import Stream

/// Programs with an operator that Evenkeel does not have: `CountSpikes` is the whole of it, and
/// `catalogue` the line that adds it.
struct OperatorExtensionTests {
  private static let catalogue = Catalogue(
    formats: BuiltInFormats.all, sources: BuiltInSources.all, sinks: BuiltInSinks.all,
    operators: BuiltInOperators.all + [CountSpikes.self])

  private let directory: TemporaryDirectory
  private let log = CollectingLog()

  init() throws { directory = try TemporaryDirectory() }

  private func load(_ spikes: String) throws -> DaemonConfiguration {
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      streams:
        s:
          source: { follow: { path: \(directory.file("in.csv")) } }
          format: { csv: { header: true } }
          features: [x, y]
          batch: { size: 2, max_delay: 1h }
          checkpoint: { every_batches: 1 }
          \(spikes)
          sink: { file: { path: \(directory.file("out.csv")) } }
          compression: off
      """.utf8)
    return try DaemonConfiguration.load(path, from: Self.catalogue) { _ in nil }
  }

  @Test func `a test of a stream expects the events of an operator`() throws {
    let path = try directory.write(
      "tested.yaml",
      """
      state_directory: state
      streams:
        s: { source: stdin, sink: stdout, format: csv, batch: { size: 2 }, spikes: { limit: 2 } }
      tests:
        spike: &spike
          { stream: s, input: "x\\n1\\n2\\n1.5\\n2.5\\n100\\n101\\n", events: ["spike: feature 'x'"] }
        other: { <<: *spike, events: [other] }
        none: { <<: *spike, events: [] }
      """.utf8)
    let tests = try DaemonConfiguration.load(path, from: Self.catalogue) { _ in nil }.tests
    let found = tests.map { $0.differences().joined() }
    #expect(found[0] == "")
    #expect(found[1].hasPrefix("events: expected 'other', found 'spike: feature 'x'"), "\(found)")
    #expect(found[2].hasPrefix("events: expected no more, found 'spike: feature 'x'"), "\(found)")
  }

  private func append(_ lines: String) throws {
    let handle = try FileHandle(forWritingTo: URL(filePath: directory.file("in.csv")))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(lines.utf8))
    try handle.close()
  }

  private func stop(_ supervisor: Supervisor) {
    let done = DispatchSemaphore(value: 0)
    supervisor.stop(timeoutSeconds: 10) { _ in done.signal() }
    #expect(done.wait(timeout: .now() + 20) == .success)
  }

  private func supervisor(_ configuration: DaemonConfiguration) throws -> Supervisor {
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { [log] _ in CollectingLogHandler(log: log) })
    supervisor.apply(configuration)
    return supervisor
  }

  @Test func `an operator brings settings, state, an update, a metric and an event`() throws {
    try directory.write("in.csv", "x,y\n1,1\n3,3\n".utf8)
    let configuration = try load("spikes: { limit: 4 }")
    var supervisor = try supervisor(configuration)
    func batches(_ count: Int) -> Bool { supervisor.statuses().first?.batches == count }
    #expect(eventually { batches(1) })
    // x is far off, y is not.
    try append("99,1\n101,3\n")
    #expect(eventually { batches(2) })
    let features = try supervisor.features(of: "s")
    #expect(features.map { $0["spikes"] } == [1, 0])
    #expect(features.map { $0["mean"] } == [2, 2], "the batch was vetoed for x")

    // The event is in the log, in the API and in the metrics.
    let status = try #require(supervisor.statuses().first)
    #expect(status.events == ["spike": 1])
    #expect(
      log.lines.contains("warning mean 100.0 of the batch event=spike feature=x"), "\(log.lines)")
    let text = metricsText(
      streams: [status], features: ["s": features], daemon: supervisor.daemonStatus,
      control: ControlStatistics(), version: "1", process: ProcessStatistics.current())
    #expect(text.contains(#"evenkeel_feature_spikes{stream="s",feature="x"} 1"#))
    #expect(text.contains(#"evenkeel_stream_events_total{stream="s",event="spike"} 1"#))
    let json = try JSONEncoder().encode(FeatureView(features[0]))
    #expect(
      (try JSONSerialization.jsonObject(with: json) as? [String: Any])?["spikes"] as? Int == 1)

    // The update goes to its operator, with a body that is read from JSON.
    let update = try #require(try supervisor.updates(of: "s").first { $0.kind.name == "spikes" })
    #expect(update.kind.body != nil && update.isOn)
    let body = try decodedBody(CountSpikes.Count.self, Array(#"{"batches":7}"#.utf8))
    let answered = DispatchSemaphore(value: 0)
    supervisor.request(.update(StreamUpdate("spikes", body)), on: "s") { result in
      #expect(throws: Never.self) { try result.get() }
      answered.signal()
    }
    #expect(answered.wait(timeout: .now() + 20) == .success)
    #expect(try supervisor.features(of: "s").map { $0["spikes"] } == [7, 7])
    stop(supervisor)

    // The state comes back in the next process.
    supervisor = try self.supervisor(configuration)
    #expect(eventually { (try? supervisor.features(of: "s").map { $0["spikes"] }) == [7, 7] })
    try append("-300,3\n-302,1\n")
    #expect(eventually { (try? supervisor.features(of: "s").map { $0["spikes"] }) == [8, 7] })
    stop(supervisor)
  }

  @Test func `its settings are checked and offered like all others`() throws {
    #expect(throws: DaemonConfigurationError.self) { try load("spikes: { limit: -1 }") }
    #expect(throws: DaemonConfigurationError.self) { try load("spikes: { limits: 2 }") }
    let options = Self.catalogue.commandLineSettings.flatMap { $0.settings }
    #expect(options.contains { $0.option?.name == "spike-limit" })
    let plain = Catalogue.builtIn.commandLineSettings.flatMap { $0.settings }
    #expect(!plain.contains { $0.option?.name == "spike-limit" })
  }

  @Test func `a program without the operator refuses its state, or drops it`() throws {
    try directory.write("in.csv", "x,y\n1,1\n3,3\n".utf8)
    let supervisor = try supervisor(load("spikes: { limit: 4 }"))
    #expect(eventually { supervisor.statuses().first?.batches == 1 })
    stop(supervisor)
    let plain = StateReading(OperatorChain.stateGroups(of: BuiltInOperators.all))
    let store = directory.file("state/s")
    #expect {
      try CheckpointStore.newest(in: store, plain, of: POSIXFileSystem())
    } throws: { error in
      guard case .content(_, .unknownState(["spikes"]))? = error as? StorageError else {
        return false
      }
      return true
    }
    let dropping = StateReading(plain.groups, unknown: .drop)
    let found = try #require(
      try CheckpointStore.newest(in: store, dropping, of: POSIXFileSystem()))
    #expect(found.checkpoint.state[real: "running_mean"] == [2, 2])
    // `inspect` shows it.
    let shown = StateReading(plain.groups, unknown: .keep)
    let kept = try #require(try CheckpointStore.newest(in: store, shown, of: POSIXFileSystem()))
    #expect(kept.checkpoint.state[count: "evenkeel.spikes.batches"] == [0, 0])
  }
}

/// The lines that were logged.
final class CollectingLog: Sendable {
  private let collected = Mutex<[String]>([])

  var lines: [String] { collected.withLock { $0 } }

  func append(_ line: String) { collected.withLock { $0.append(line) } }
}

struct CollectingLogHandler: LogHandler {
  let log: CollectingLog
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let values = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
    log.append("\(event.level) \(event.message)" + values.joined())
  }
}
