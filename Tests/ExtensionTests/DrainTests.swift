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

/// A made-up sink on a disk that hangs until the test mends it.
private struct StuckSink: ByteSink {
  static let gate = DispatchSemaphore(value: 0)

  let name = "stuck"

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {}
  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    Self.gate.wait()
    Self.gate.signal()
  }
  mutating func push() throws(FileError) -> Awaiting? { nil }
  mutating func finish() throws(FileError) {}
}

/// A client of a tap that counts the ends.
private final class CountingTap: TapReceiver {
  private let counted = Mutex(0)

  var ends: Int { counted.withLock { $0 } }
  var isClosed: Bool { false }
  func begin() {}
  func take(_ sample: TapSample) -> Bool { true }
  func end() { counted.withLock { $0 += 1 } }
}

extension SinkKind {
  fileprivate static let stuck = SinkKind(
    name: "stuck", settings: SettingGroup("stuck"), trial: .none, place: { _ in .process },
    open: { _ in { _ in StuckSink() } })

  fileprivate static let wall = SinkKind(
    name: "wall", settings: SettingGroup("wall"), trial: .none, place: { _ in .process },
    open: { _ in { _ in WallSink() } })
}

struct DrainTests {
  private static let catalogue = Catalogue(
    formats: BuiltInFormats.all, sources: BuiltInSources.all,
    sinks: [.wall, .stuck] + BuiltInSinks.all, operators: BuiltInOperators.all)

  /// Stops a stream of two records whose output nobody takes.
  ///
  /// - Parameters:
  ///   - sink: as in a configuration; `PATH` stands for a path.
  ///   - prepare: runs before the stop.
  private func stop(
    _ sink: String, from catalogue: Catalogue = .builtIn, timeoutSeconds: Double,
    prepare: (Supervisor) throws -> Void = { _ in }
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
    try prepare(supervisor)
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
    let (isDrained, supervisor) = try stop("wall", from: Self.catalogue, timeoutSeconds: 0.1)
    #expect(!isDrained)
    #expect(eventually { supervisor.statuses().first?.lastErrorReason == "not_drained" })
    #expect(
      supervisor.statuses().first?.lastError
        == "s: stopped before all records that were read could be emitted")
    #expect(StreamError.notDrained(stream: "s").exitCode == 75)
  }

  @Test func `a stream that a reload removed is not kept until the end of the timeout`() throws {
    let directory = try TemporaryDirectory()
    let input = try directory.write("in.csv", "x\n1\n2\n".utf8)
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      shutdown_timeout: 1h
      streams:
        s:
          source: { file: { path: \(input) } }
          format: csv
          sink: { unix: { path: \(directory.file("out")) } }
      """.utf8)
    var configuration = try DaemonConfiguration.load(path) { _ in nil }
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { _ in CollectingLogHandler(log: CollectingLog()) })
    supervisor.apply(configuration)
    #expect(eventually { (supervisor.statuses().first?.bytesIn ?? 0) > 0 })
    weak let old: (any Supervised)? = try supervisor.find("s")
    configuration.streams = []
    supervisor.apply(configuration)
    #expect(eventually { old == nil })
  }

  @Test func `a stream that was given up and never ends has ended its taps`() throws {
    let tap = CountingTap()
    defer { StuckSink.gate.signal() }
    let (isDrained, _) = try stop("stuck", from: Self.catalogue, timeoutSeconds: 0.1) {
      try $0.tap("s", TapOptions(), tap)
      #expect(tap.ends == 0)
    }
    #expect(!isDrained)
    #expect(tap.ends == 1)
  }
}
