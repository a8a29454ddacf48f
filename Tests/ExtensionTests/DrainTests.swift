import Codecs
import Configuration
import Connectors
import Dataflow
import Dispatch
import Logging
import Operators
import Records
import Storage
import Synchronization
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
  /// Stops a stream of two records whose output nobody takes.
  ///
  /// - Parameter sink: as in a configuration; `PATH` stands for a path.
  private func stop(
    _ sink: String, from catalogue: Catalogue = .builtIn, timeoutSeconds: Double
  ) throws -> (isDrained: Bool, supervisor: Supervisor) {
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
          sink: \(sink.replacing("PATH", with: directory.file("out")))
      """.utf8)
    let configuration = try DaemonConfiguration.load(path, from: catalogue) { _ in nil }
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { _ in CollectingLogHandler(log: CollectingLog()) })
    supervisor.apply(configuration)
    #expect(eventually { (supervisor.statuses().first?.bytesIn ?? 0) > 0 })
    let stopped = DispatchSemaphore(value: 0)
    let drained = Mutex(false)
    supervisor.stop(timeoutSeconds: timeoutSeconds) { isDrained in
      drained.withLock { $0 = isDrained }
      stopped.signal()
    }
    #expect(stopped.wait(timeout: .now() + 60) == .success)
    return (drained.withLock { $0 }, supervisor)
  }

  @Test(arguments: ["{ unix: { path: PATH } }", "{ fifo: { path: PATH, create: true } }"])
  func `a stop does not wait for a reader that is not there, and tells what nobody took`(
    sink: String
  ) throws {
    let (isDrained, supervisor) = try stop(sink, timeoutSeconds: 3600)
    #expect(isDrained)
    #expect(supervisor.statuses().first?.lastErrorReason == "no_reader")
    let message = try #require(supervisor.statuses().first?.lastError)
    #expect(message.hasPrefix("s: stopped without a reader: nobody took 2 records that were read"))
  }

  @Test func `a drain that takes too long is told as that, not as bad input`() throws {
    let catalogue = Catalogue(
      formats: BuiltInFormats.all, sources: BuiltInSources.all, sinks: [.wall] + BuiltInSinks.all,
      operators: BuiltInOperators.all)
    let (isDrained, supervisor) = try stop("wall", from: catalogue, timeoutSeconds: 0.1)
    #expect(!isDrained)
    #expect(eventually { supervisor.statuses().first?.lastErrorReason == "not_drained" })
    #expect(
      supervisor.statuses().first?.lastError
        == "s: stopped before all records that were read could be emitted")
    #expect(StreamError.notDrained(stream: "s").exitCode == 75)
  }
}
