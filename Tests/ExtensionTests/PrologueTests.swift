import Codecs
import Configuration
import Connectors
import Foundation
import Logging
import Operators
import Storage
import Supervision
import TestSupport
import Testing

@testable import Stream

/// A format with a prologue that records change, and an epilogue (`Ledger.swift`). It is tried in files that rotate, in a
/// run that resumes, and for a subscriber that connects late.
struct PrologueTests {
  private static let catalogue = Catalogue(
    formats: BuiltInFormats.all + [.ledger], sources: [.shelf] + BuiltInSources.all,
    sinks: BuiltInSinks.all, operators: BuiltInOperators.all)

  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func definition(
    source: String? = nil, sink: String, format: String = "{ ledger: { counts: true } }",
    more: String = "compression: off"
  ) throws -> DaemonConfiguration {
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      streams:
        s:
          source: \(source ?? "{ shelf: { name: \(directory.path)/in, chunk: 4096 } }")
          format: \(format)
          batch: { size: 50\(source == nil ? "" : ", max_delay: 10ms") }
          sink: \(sink)
          \(more)
      """.utf8)
    return try DaemonConfiguration.load(path, from: Self.catalogue) { _ in nil }
  }

  private func run(_ configuration: DaemonConfiguration) throws -> StreamError? {
    let plan = StreamPlan(
      try #require(configuration.streams.first), directory: directory.file("state/s"),
      adopts: false)
    let opened = try OpenedStream(plan, in: ConnectorContext(fileSystem: POSIXFileSystem()))
    let ending = Ending()
    let run = try StreamRun(
      opened, threads: 2, metrics: StreamMetrics(), completion: { ending.complete($0) })
    run.start()
    return ending.wait()
  }

  private func run(
    _ configuration: StreamConfiguration, _ files: StreamFiles
  ) throws -> StreamError? {
    let ending = Ending()
    let run = try StreamRun(configuration, files: files, threads: 2) { ending.complete($0) }
    run.start()
    return ending.wait()
  }

  private func records(_ key: String, _ range: Range<Int>) -> String {
    range.map { "\(key) \($0 % 7)\n" }.joined()
  }

  /// The files of the output, oldest first, as lines.
  private func files() throws -> [[String]] {
    try directory.names.filter { $0.hasPrefix("out") }
      .sorted { ($0 == "out.ledger" ? "~" : $0) < ($1 == "out.ledger" ? "~" : $1) }
      .map { String(decoding: try directory.read($0), as: UTF8.self) }
      .map { $0.split(separator: "\n").map(String.init) }
  }

  /// Expects that each file is whole by itself, and returns the keys of all records in order.
  private func expectWhole(_ files: [[String]]) -> [String] {
    files.flatMap { lines in
      #expect(lines.first == "ledger")
      var known: Set<String> = []
      var keys: [String] = []
      for line in lines.dropFirst().dropLast() {
        if line.hasPrefix("!") {
          #expect(known.insert(String(line.dropFirst().prefix(1))).inserted, "named twice")
        } else {
          keys.append(String(line.prefix(1)))
          #expect(known.contains(String(line.prefix(1))), "\(line) before its name")
        }
      }
      #expect(lines.last == "\(keys.count) records")
      return keys
    }
  }

  @Test func `each rotated file has the prologue in force and an epilogue, after a restart too`()
    throws
  {
    let sink = "{ file: { path: \(directory.file("out.ledger")), rotate: { size: 4KiB } } }"
    let first = "ledger\n!a=A\n" + records("a", 0..<400) + "!b=B\n" + records("b", 0..<400)
    Shelf[directory.path + "/in"] = Array(first.utf8)
    #expect(try run(definition(sink: sink)) == nil)
    let before = try files()
    #expect(before.count > 2)
    var expected = Array(repeating: "a", count: 400) + Array(repeating: "b", count: 400)
    #expect(expectWhole(before) == expected)
    // A run that resumes knows the names that it does not read again.
    Shelf[directory.path + "/in"]?.append(
      contentsOf: Array((records("a", 0..<400) + "!c=C\n" + records("c", 0..<400)).utf8))
    #expect(try run(definition(sink: sink)) == nil)
    let after = try files()
    expected += Array(repeating: "a", count: 400) + Array(repeating: "c", count: 400)
    #expect(after.count > before.count && expectWhole(after) == expected)
    #expect(after.last?.contains("!a=A") == true)
  }

  @Test func `a file that appears when it is complete has them too`() throws {
    Shelf[directory.path + "/in"] = Array(("ledger\n!a=A\n" + records("a", 0..<120)).utf8)
    let groups = Self.catalogue.commandLineSettings + Self.catalogue.connectorSettings
    for resume in [nil, directory.file("resume")] {
      let given = try CommandLineSettings(["--format", "ledger"], of: groups, others: [])
      var (format, values) = try Self.catalogue.settings(of: "-", in: given)
      values[LedgerSettings.counts] = true
      var configuration = try StreamConfiguration(
        name: "s", format: format, values, from: Self.catalogue, in: POSIXFileSystem())
      configuration.compressionLevel = nil
      let name = resume == nil ? "whole" : "resumed"
      let input = try directory.write("in.ledger", Shelf[directory.path + "/in"] ?? [])
      var files = StreamFiles(input: input, output: directory.file(name))
      files.catalogue = Self.catalogue
      files.values = values
      files.resume = resume
      #expect(try run(configuration, files) == nil)
      let lines = String(decoding: try directory.read(name), as: UTF8.self).split(separator: "\n")
      #expect(expectWhole([lines.map(String.init)]).count == 120)
      guard resume != nil else { continue }
      // A run that was killed after it had named the file finds it complete.
      #expect(try run(configuration, files) == nil)
      let size = try directory.read(name).count
      #expect(size == lines.map { $0.utf8.count + 1 }.reduce(0, +))
    }
  }

  @Test func `a subscriber that connects late gets the prologue in force, and the epilogue`() throws
  {
    let socket = directory.file("out.sock")
    let configuration = try definition(
      source: "{ follow: { path: \(directory.file("in.ledger")) } }",
      sink: "{ unix: { path: \(socket), when_full: drop_oldest } }",
      format: "{ ledger: {} }", more: "compression: off")
    try directory.write("in.ledger", Array(("ledger\n!a=A\n" + records("a", 0..<50)).utf8))
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory,
      logger: Logger(label: "test") { _ in CollectingLogHandler(log: CollectingLog()) })
    supervisor.apply(configuration)
    #expect(eventually { supervisor.statuses().first?.records == 50 })
    let subscriber = try Peer(unix: socket)
    #expect(eventually { supervisor.statuses().first?.connectors.subscribers == 1 })
    let handle = try FileHandle(forWritingTo: URL(filePath: directory.file("in.ledger")))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("!b=B\nb 1\na 2\n".utf8))
    try handle.close()
    #expect(eventually { supervisor.statuses().first?.records == 52 })
    supervisor.stop(timeoutSeconds: 10) { _ in }
    let lines = String(decoding: subscriber.rest(), as: UTF8.self).split(separator: "\n")
      .map(String.init)
    #expect(lines.prefix(3) == ["ledger", "!a=A", "!b=B"])
    #expect(lines.dropFirst(3).map { String($0.prefix(2)) } == ["b ", "a ", "en"])
  }

  @Test func `an epilogue that reads its file is refused without a file, and compressed`() throws {
    Shelf[directory.path + "/in"] = Array("ledger\n!a=A\na 1\n".utf8)
    let piped = try #require(
      try run(definition(sink: "{ fifo: { path: \(directory.file("p")), create: true } }")))
    #expect(piped.exitCode == 74 && "\(piped)".contains("cannot seek"), "\(piped)")
    let sink = "{ file: { path: \(directory.file("out.ledger")) } }"
    let compressed = try #require(try run(definition(sink: sink, more: "compression: on")))
    #expect(compressed.exitCode == 78)
    #expect("\(compressed)".contains("compression: expected off"), "\(compressed)")
  }
}
