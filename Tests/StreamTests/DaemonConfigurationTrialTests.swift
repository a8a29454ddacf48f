import Configuration
import Foundation
import Glibc
import Operators
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct DaemonConfigurationTrialTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  /// Tries a stream with this source and sink.
  ///
  /// - Returns: the line, the key and the message of each error.
  private func failures(
    source: String, sink: String, rest: String = "", state: String? = nil
  ) throws -> [String] {
    let text = """
      state_directory: \(state ?? directory.path)
      streams:
        a:
          source: \(source)
          sink: \(sink)
          format: csv
      \(rest)
      """
    return try daemonConfiguration(text).tryConnecting().map { error in
      #expect(error.line > 0 && error.column > 0)
      return "\(error.line): \(error.path): \(error.message)"
    }
  }

  private func file(_ name: String) -> String { "{ file: { path: \(directory.file(name)) } }" }

  @Test func `a source and a sink that can be opened stay unchanged`() throws {
    try directory.write("in.csv", "a\n1\n".utf8)
    try directory.write("out.csv", "old".utf8)
    #expect(try failures(source: file("in.csv"), sink: file("out.csv")) == [])
    #expect(try directory.read("out.csv") == Array("old".utf8))
    #expect(try directory.names == ["in.csv", "out.csv"])
  }

  @Test func `a missing source and a sink that cannot be made are errors with their lines`()
    throws
  {
    let found = try failures(source: file("in.csv"), sink: file("none/out.csv"))
    #expect(found.count == 2)
    #expect(found[0].hasPrefix("4: streams.a.source.file.path: cannot open "))
    #expect(found[1].hasPrefix("5: streams.a.sink.file.path: cannot create "), "\(found)")
  }

  @Test func `a checkpoint that the settings cannot continue is told`() throws {
    try directory.write("in.csv", "x,c\n1,a\n".utf8)
    let kinds = BuiltInOperators.all.filter { $0.isOn(SettingValues()) }
    var state = StateTable(
      OperatorChain.stateGroups(of: kinds), features: try FeatureSchema(["x"]))
    state[real: "running_mean"] = [4]
    state[real: "evenkeel.moments.weight"] = [9]
    try FileManager.default.createDirectory(
      atPath: directory.file("a"), withIntermediateDirectories: false)
    try directory.write(
      "a/checkpoint-0000000001.safetensors", Checkpoint(state, settings: [:]).serialized())
    func failures(_ normalize: String) throws -> [String] {
      try self.failures(
        source: file("in.csv"), sink: file("out.csv"), rest: "    normalize: { \(normalize) }")
    }
    #expect(try failures("momentum: cumulative") == [])
    let found = try failures("weight: { class: c }")
    #expect(found.count == 1, "\(found)")
    #expect(
      found.first?.contains(
        "weight.class: expected the moments of classes beside those of feature 'x', found none")
        == true, "\(found)")
  }

  @Test func `an error shows the name of a variable, not its value`() throws {
    let text = """
      state_directory: ${STATE}
      streams:
        a:
          source: { file: { path: "${SECRET}/in" } }
          sink: stdout
          format: csv
          parameters: { file: "${SECRET}" }
      """
    let variables = ["STATE": directory.path, "SECRET": directory.file("hunter2")]
    let found = try daemonConfiguration(text, variables).tryConnecting().map(\.message)
    #expect(
      found == [
        "cannot open '${SECRET}/in': No such file or directory",
        "cannot open '${SECRET}': No such file or directory",
      ])
  }

  @Test func `parameters and checkpoints are read`() throws {
    try directory.write("in.csv", "a\n1\n".utf8)
    try directory.write("gamma", "no".utf8)
    let found = try failures(
      source: file("in.csv"), sink: file("out.csv"),
      rest: "    parameters: { file: \(directory.file("gamma")) }")
    #expect(found.count == 1)
    #expect(found[0].hasPrefix("7: streams.a.parameters.file: "))
  }

  @Test func `a missing state directory is an error only if it cannot be made`() throws {
    try directory.write("in.csv", "a\n1\n".utf8)
    let (source, sink) = (file("in.csv"), file("out.csv"))
    #expect(try failures(source: source, sink: sink, state: directory.file("x/y/z")) == [])
    #expect(try directory.names == ["in.csv"])
    // No directory can be made there, not even by root.
    let found = try failures(source: source, sink: sink, state: "/proc/none/state")
    #expect(found.count == 1 && found[0].hasPrefix("1: state_directory: "), "\(found)")
  }

  @Test func `a socket is bound and removed again`() throws {
    let path = directory.file("s.sock")
    let sink = file("out.csv")
    #expect(try failures(source: "{ unix: { path: \(path) } }", sink: sink) == [])
    #expect(try directory.names == [])
    let missing = directory.file("none/s.sock")
    let found = try failures(source: "{ unix: { path: \(missing) } }", sink: sink)
    #expect(found.count == 1 && found[0].hasPrefix("4: streams.a.source.unix.path: "), "\(found)")
  }

  @Test func `a FIFO is not opened, so that its reader does not see an end`() throws {
    let path = directory.file("pipe")
    #expect(mkfifo(path, 0o600) == 0)
    let waiting = open(path, O_RDONLY | O_NONBLOCK)
    defer { close(waiting) }
    #expect(
      try failures(source: "stdin", sink: "{ fifo: { path: \(path) } }") == [])
    // If a writer opens and closes a FIFO, its reader gets a hang-up.
    var query = pollfd(fd: waiting, events: CShort(POLLIN), revents: 0)
    #expect(poll(&query, 1, 0) == 0)
  }
}
