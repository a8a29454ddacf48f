import Configuration
import Glibc
import TestSupport
import Testing

@testable import Stream

/// Places that would replace the state of the daemon or of a stream.
@Suite struct StatePlaceTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func errors(
    state: String = "state", sink: String = "{ file: { path: PATH } }", path: String = "out.csv",
    source: String = "{ unix: { path: in.sock } }", name: String = "a", listen: String = "off"
  ) throws -> [String] {
    let text = """
      state_directory: \(directory.file(state))
      control: { listen: \(listen) }
      streams:
        \(name):
          source: \(source.replacing("PATH", with: directory.file(path)))
          sink: \(sink.replacing("PATH", with: directory.file(path)))
          format: \(path.hasSuffix(".ndjson") ? "ndjson" : "csv")
        other: { source: stdin, sink: { file: { path: other.csv } }, format: csv }
      """
    return try configurationErrors(text).map { "\($0.line): \($0.path): \($0.message)" }
  }

  @Test(arguments: [
    "state/lock", "state/./x/../lock", "state", "state/a", "state/a/x.csv",
    "state/other/dead-letters.ndjson", "state/other/checkpoint-0000000001.safetensors",
    "state/gone/checkpoint-0000000001.safetensors", "state/gone/done-0000000001.list",
    "state/gone/dead-letters.ndjson", "link/lock", "link/a/b",
  ])
  func `a sink that would replace state is refused`(path: String) throws {
    #expect(symlink(directory.file("state"), directory.file("link")) == 0)
    for sink in [
      "{ file: { path: PATH } }", "{ fifo: { path: PATH } }", "{ unix: { path: PATH } }",
    ] {
      let found = try errors(sink: sink, path: path)
      #expect(found.count == 1, "\(found)")
      #expect(found.first?.hasPrefix("6: streams.a.sink.") == true, "\(found)")
      #expect(found.first?.contains(": expected a path ") == true, "\(found)")
    }
  }

  @Test(arguments: ["out.csv", "state/out.csv", "state/out/a.csv", "state2/lock", "states/a/b"])
  func `a sink beside the state is fine, also in the state directory`(path: String) throws {
    #expect(try errors(path: path) == [])
  }

  @Test func `a state directory that does not exist is known by every spelling`() throws {
    let found = try errors(state: "x/../new/state/", path: "new/./state/lock")
    #expect(found.count == 1, "\(found)")
  }

  @Test func `sockets and FIFOs of sources and of the control plane replace no state either`()
    throws
  {
    let socket = try errors(source: "{ unix: { path: PATH } }", path: "state/lock", sinkPath: "o")
    #expect(
      socket.count == 1 && socket[0].hasPrefix("5: streams.a.source.unix.path: "), "\(socket)")
    let control = try errors(listen: "\"unix:\(directory.file("state/lock"))\"")
    #expect(control.count == 1 && control[0].hasPrefix("2: control.listen: "), "\(control)")
    // Dead letters may be the input of a stream.
    #expect(
      try errors(
        source: "{ follow: { path: PATH } }", path: "state/other/dead-letters.ndjson", sinkPath: "o"
      )
        == [])
  }

  @Test func `no stream has the name of the lock`() throws {
    let found = try errors(name: "lock")
    #expect(found.contains { $0.contains("and not 'lock'") }, "\(found)")
  }

  private func errors(source: String, path: String, sinkPath: String) throws -> [String] {
    try errors(sink: "{ file: { path: \(directory.file(sinkPath)) } }", path: path, source: source)
  }

  @Test func `a state directory that can never be made is refused`() throws {
    try directory.write("file", "x".utf8)
    #expect(symlink(directory.file("nowhere"), directory.file("link")) == 0)
    for (state, reason) in [
      ("file", "expected a directory, found a regular file"),
      ("file/state", "expected a path below directories, found a regular file above it"),
      ("file/x/y/state", "expected a path below directories, found a regular file above it"),
      ("link", "expected a directory, found a symbolic link that leads nowhere"),
    ] {
      #expect(try errors(state: state) == ["1: state_directory: \(reason)"])
    }
    // A start makes these.
    #expect(try errors(state: "none/x/state") == [])
  }
}
