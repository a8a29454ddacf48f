import Codecs
import Configuration
import Connectors
import Dataflow
import Dispatch
import Logging
import Operators
import Records
import Storage
import TestSupport
import Testing

@testable import Stream
@testable import Supervision

/// A made-up sink that takes one write and passes nothing on, as a reader that hangs.
private struct WallSink: ByteSink {
  let name = "wall"

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {}
  mutating func write(_ bytes: [UInt8]) throws(FileError) {}
  mutating func push() throws(FileError) -> Awaiting? { Awaiting(nil, seconds: 3600) }
  mutating func finish() throws(FileError) {}
}

extension SinkKind {
  fileprivate static let wall = SinkKind(
    name: "wall", settings: SettingGroup("wall"), trial: .none, place: { _ in .process },
    open: { _ in { _ in WallSink() } })
}

struct DrainTests {
  @Test(arguments: ["unix: { path: PATH }", "fifo: { path: PATH, create: true }"])
  func `a stop does not wait for a reader that is not there, and tells what nobody took`(
    sink: String
  ) throws {
    let directory = try TemporaryDirectory()
    let input = try directory.write("in.csv", "x\n1\n2\n".utf8)
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      streams:
        s:
          source: { file: { path: \(input) } }
          format: csv
          sink: { \(sink.replacing("PATH", with: directory.file("out"))) }
      """.utf8)
    let configuration = try DaemonConfiguration.load(path) { _ in nil }
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { _ in CollectingLogHandler(log: CollectingLog()) })
    supervisor.apply(configuration)
    #expect(eventually { (supervisor.statuses().first?.bytesIn ?? 0) > 0 })
    let stopped = DispatchSemaphore(value: 0)
    supervisor.stop(timeoutSeconds: 3600) { isDrained in
      #expect(isDrained)
      stopped.signal()
    }
    #expect(stopped.wait(timeout: .now() + 60) == .success)
    #expect(supervisor.statuses().first?.lastErrorReason == "no_reader")
    let message = try #require(supervisor.statuses().first?.lastError)
    #expect(message.hasPrefix("s: stopped without a reader: nobody took 2 records that were read"))
  }

  @Test func `a drain that takes too long is told as that, not as bad input`() throws {
    let directory = try TemporaryDirectory()
    let input = try directory.write("in.csv", "x\n1\n2\n".utf8)
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      streams:
        s:
          source: { file: { path: \(input) } }
          format: csv
          sink: wall
      """.utf8)
    let catalogue = Catalogue(
      formats: BuiltInFormats.all, sources: BuiltInSources.all, sinks: [.wall] + BuiltInSinks.all,
      operators: BuiltInOperators.all)
    let configuration = try DaemonConfiguration.load(path, from: catalogue) { _ in nil }
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { _ in CollectingLogHandler(log: CollectingLog()) })
    supervisor.apply(configuration)
    #expect(eventually { (supervisor.statuses().first?.bytesIn ?? 0) > 0 })
    let stopped = DispatchSemaphore(value: 0)
    supervisor.stop(timeoutSeconds: 0.1) { isDrained in
      #expect(!isDrained)
      stopped.signal()
    }
    #expect(stopped.wait(timeout: .now() + 20) == .success)
    #expect(eventually { supervisor.statuses().first?.lastErrorReason == "not_drained" })
    #expect(
      supervisor.statuses().first?.lastError
        == "s: stopped before all records that were read could be emitted")
    #expect(StreamError.notDrained(stream: "s").exitCode == 75)
  }
}
