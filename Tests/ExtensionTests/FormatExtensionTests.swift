import Codecs
import Configuration
import Connectors
import Operators
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Stream

/// Programs with a format and a connector that Evenkeel does not have: `Pairs.swift` and `Shelf.swift` are
/// the whole of them, and each stands in `catalogue` by one line of its kind.
struct FormatExtensionTests {
  private static let catalogue = Catalogue(
    formats: BuiltInFormats.all + [.pairs],
    sources: [.shelf] + BuiltInSources.all,
    sinks: [.shelf] + BuiltInSinks.all,
    operators: BuiltInOperators.all)

  private let directory: TemporaryDirectory
  /// Of texts of this test's own.
  private let shelf: String

  init() throws {
    directory = try TemporaryDirectory()
    shelf = directory.path
  }

  private func definition(
    format: String = "{ pairs: {} }", source: String? = nil, sink: String? = nil
  ) throws -> StreamDefinition {
    let path = try directory.write(
      "evenkeel.yaml",
      """
      state_directory: \(directory.file("state"))
      streams:
        s:
          source: \(source ?? "{ shelf: { name: \(shelf)/in, chunk: 5 } }")
          format: \(format)
          batch: { size: 2 }
          sink: \(sink ?? "{ shelf: { name: \(shelf)/out, mark: \"~\" } }")
          compression: off
      """.utf8)
    let configuration = try DaemonConfiguration.load(path, from: Self.catalogue) { _ in nil }
    return try #require(configuration.streams.first)
  }

  /// Runs a stream of a configuration file to its end.
  private func run(_ definition: StreamDefinition) throws -> StreamError? {
    let plan = StreamPlan(definition, directory: directory.file("state/s"), adopts: false)
    let opened = try OpenedStream(plan, in: ConnectorContext(fileSystem: POSIXFileSystem()))
    let ending = Ending()
    let run = try StreamRun(
      opened, threads: 1, metrics: StreamMetrics(), completion: { ending.complete($0) })
    run.start()
    return ending.wait()
  }

  private func text(_ name: String) -> String? {
    Shelf["\(shelf)/\(name)"].map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func `a format and a connector run in a stream of the daemon, and resume`() throws {
    Shelf["\(shelf)/in"] = Array("x=1 n=5\nx=3 n=5\nx=- n=5\n".utf8)
    #expect(try run(definition()) == nil)
    let first = try #require(text("out"))
    #expect(first.hasPrefix("~x=0") && first.contains("x=0.99"))
    #expect(first.split(separator: "\n").count == 3)
    // The input grows; what was read is not read again, and the output goes on.
    Shelf["\(shelf)/in"]?.append(contentsOf: Array("x=1 n=5\nx=3 n=5\n".utf8))
    #expect(try run(definition()) == nil)
    let second = try #require(text("out"))
    #expect(second.hasPrefix(first) && second.split(separator: "\n").count == 5)
    let found = try #require(
      try CheckpointStore.newest(
        in: directory.file("state/s"), .ofOperators, of: POSIXFileSystem()))
    #expect(found.checkpoint.features == ["x", "n"])
    #expect(found.checkpoint.input?.form == "pairs equals==")
  }

  @Test func `they work on the command line, with options of their own`() throws {
    Shelf["\(shelf)/in"] = Array("x:1\nx:3\n".utf8)
    let groups = Self.catalogue.commandLineSettings + Self.catalogue.connectorSettings
    let given = try CommandLineSettings(
      [
        "--format", "pairs", "--pairs-equals", ":", "--shelf-chunk", "3", "--shelf-mark", "*",
        "--batch-size", "2",
      ], of: groups, others: [])
    let input = "shelf:\(shelf)/in"
    let (format, values) = try Self.catalogue.settings(of: input, in: given)
    #expect(format.name == "pairs" && values[Shelf.chunk] == 3)
    var configuration = try StreamConfiguration(
      name: "in", format: format, values, from: Self.catalogue, in: POSIXFileSystem())
    configuration.compressionLevel = nil
    var files = StreamFiles(input: input, output: "shelf:\(shelf)/out")
    files.catalogue = Self.catalogue
    files.values = values
    let ending = Ending()
    try StreamRun(configuration, files: files, threads: 1) { ending.complete($0) }.start()
    #expect(ending.wait() == nil)
    #expect(text("out")?.hasPrefix("*x:0") == true && text("out")?.contains("x:0.99") == true)

    // Of a name with its extension, the format need not be told.
    let byName = try Self.catalogue.settings(
      of: "a.pairs", in: CommandLineSettings([], of: groups, others: []))
    #expect(byName.format.name == "pairs")
    let help = SettingHelp.sections(groups, columns: 80)
    for option in ["--pairs-equals", "--shelf-chunk", "--shelf-mark"] {
      #expect(help.contains(option))
    }
    let words = help.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
    #expect(words.contains("csv, ndjson, raw, arrow, pairs"))
  }

  @Test(
    arguments: [
      ("{ pairs: { equals: ab } }", "s.format.pairs.equals: expected one ASCII character"),
      ("{ pairs: { equals: x } }", "s.format.pairs.equals: expected a sign that no name holds"),
      ("{ pairs: { equal: a } }", "s.format.pairs.equal: unknown key"),
      ("{ peas: {} }", "unknown key; known here: arrow, csv, ndjson, pairs, raw"),
    ])
  func `its settings are checked like all others`(format: String, message: String) throws {
    #expect {
      try definition(format: format)
    } throws: { error in
      "\(error)".contains(message)
    }
  }

  @Test func `a connector is checked, tried and listed like all others`() throws {
    #expect {
      try definition(source: "{ shelf: { name: a, chunk: 0 } }", sink: "{ shelf: {} }")
    } throws: { error in
      "\(error)".contains("s.source.shelf.chunk: expected a whole number from 1 to 4096")
        && "\(error)".contains("s.sink.shelf.name: expected text")
    }
    let path = directory.file("evenkeel.yaml")
    _ = try definition()
    let configuration = try DaemonConfiguration.load(path, from: Self.catalogue) { _ in nil }
    let failures = configuration.tryConnecting().map { "\($0)" }
    #expect(failures.count == 1 && failures[0].contains("cannot open \(shelf)/in"), "\(failures)")
    Shelf["\(shelf)/in"] = []
    #expect(configuration.tryConnecting().isEmpty)
    let table = SettingTable.ofKinds(Self.catalogue.sources.map { ($0.name, $0.settings) })
    #expect(table.contains("shelf") && table.contains("chunk"))
    #expect(configuration.streams[0].fingerprint.contains { $0.contains("chunk") })
  }
}

/// Waits for the end of a stream, with a deadline that only a hang reaches.
final class Ending: Sendable {
  private let failure = Mutex<(isOver: Bool, StreamError?)>((false, nil))

  func complete(_ failure: (any Error)?) {
    self.failure.withLock {
      $0 = (true, failure.map { $0 as? StreamError ?? .configuration("\($0)") })
    }
  }

  func wait() -> StreamError? {
    guard eventually({ failure.withLock { $0.isOver } }) else {
      return .configuration("the stream did not complete")
    }
    return failure.withLock { $0.1 }
  }
}
