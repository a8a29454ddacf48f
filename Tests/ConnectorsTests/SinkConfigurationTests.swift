import Configuration
import Storage
import Testing

@testable import Connectors

/// The sink of a line of a configuration, `kind: { … }`.
func configured(_ line: String) throws -> any ByteSink {
  let document = try ConfigurationDocument(
    bytes(line), file: "test.yaml", environment: { _ in nil })
  let kind = try #require(BuiltInSinks.all.first { document.root.contains($0.name) })
  let values = document.root.section(kind.name)?.values(of: kind.settings)
  try document.check()
  return try kind.open(try #require(values))(ConnectorContext(fileSystem: POSIXFileSystem()))
}

@Suite struct SinkConfigurationTests {
  @Test func `every kind has a name of its own, and the last takes every location`() {
    let names = BuiltInSinks.all.map(\.name)
    #expect(Set(names) == ["stdout", "file", "fifo", "unix", "tcp", "kafka"])
    #expect(names.count == 6)
    #expect(BuiltInSinks.all.last?.locate("anything", SettingValues()) != nil)
    #expect(BuiltInSinks.all.filter { $0.locate("-", SettingValues()) != nil }.count == 2)
  }

  @Test(arguments: [
    ("file: { path: /tmp/x, rotate: { size: 1 } }", "unit"),
    ("file: { path: /tmp/x, rotate: { every: 1h } }", "every"),
    ("file: { rotate: { age: 1h } }", "path"),
    ("fifo: { create: true }", "path"),
    ("fifo: { path: /tmp/x, create: maybe }", "true or false"),
    ("unix: { path: /tmp/x, mode: rw }", "octal digits"),
    ("unix: { path: /tmp/x, mode: '1777' }", "octal digits"),
    ("unix: { path: /tmp/x, when_full: wait }", "when_full"),
    ("unix: { path: /tmp/x, queue: 1MiB }", "drop_oldest"),
    ("unix: { path: /tmp/x, connect: true, max_subscribers: 3 }", "no max_subscribers"),
    ("unix: { path: /tmp/x, connect: true, mode: '0600' }", "no mode"),
    ("unix: { path: /tmp/x, systemd: weather }", "one of path and systemd"),
    ("tcp: { address: '127.0.0.1:0', systemd: weather }", "one of address and systemd"),
    ("unix: { connect: true, systemd: weather }", "no systemd"),
    ("tcp: { address: 'localhost' }", "HOST:PORT"),
    ("tcp: { address: '0.0.0.0:9000' }", "allow_remote"),
    ("tcp: { address: '127.0.0.1:9000', max_subscribers: 0 }", "max_subscribers"),
    ("tcp: { address: '127.0.0.1:9000', connect: true, allow_remote: true }", "no allow_remote"),
    ("tcp: {}", "address"),
  ])
  func `a wrong setting is reported`(line: String, words: String) throws {
    do {
      _ = try configured(line)
      Issue.record("nothing is reported")
    } catch let failure as ConfigurationFailure {
      #expect(failure.errors.count == 1, "\(failure)")
      #expect("\(failure)".contains(words), "\(failure)")
    }
  }

  @Test(arguments: [
    ("tcp: { address: '127.0.0.1:0' }", "127.0.0.1:0"),
    ("tcp: { address: '0.0.0.0:0', allow_remote: true }", "0.0.0.0:0"),
    ("tcp: { address: '[::1]:9', connect: true, when_full: drop_oldest, queue: 64KiB }", "[::1]:9"),
    ("unix: { path: /nowhere/x, connect: true }", "/nowhere/x"),
  ])
  func `a right setting opens a sink with the name of its address`(
    line: String, name: String
  ) throws {
    var sink = try configured(line)
    #expect(sink.name == name)
    try sink.finish()
  }

  @Test func `a socket that the service manager did not pass is an error`() {
    #expect(throws: FileError.self) { try configured("unix: { systemd: weather }") }
  }
}
