import Configuration
import Glibc
import Storage
import TestSupport
import Testing

@testable import Stream

/// Spellings of one place, and what the configuration makes of them.
@Suite struct ConnectorPlaceTests {
  private let directory: TemporaryDirectory
  private let files = POSIXFileSystem()

  init() throws {
    directory = try TemporaryDirectory()
    try files.createDirectories(directory.file("in/sub"))
    try #require(symlink("in", directory.file("ln")) == 0)
    try #require(symlink("../out.csv", directory.file("in/link.csv")) == 0)
  }

  private func stream(_ source: String, _ sink: String) -> String {
    "{ source: \(source), format: csv, sink: { file: { path: \(sink) } } }"
  }

  private func messages(_ streams: String...) throws -> [String] {
    let lines = streams.enumerated().map { "  s\($0.offset): \($0.element)\n" }.joined()
    return try configurationErrors("state_directory: /tmp/state\nstreams:\n\(lines)")
      .map(\.message)
  }

  @Test func `all spellings of a path are one`() throws {
    let root = files.canonicalPath(directory.file(""))
    for spelling in [
      "in/a.csv", "in//./a.csv", "in/sub/../a.csv", "ln/a.csv", "ln/sub/../a.csv", "ln/../in/a.csv",
    ] {
      #expect(files.canonicalPath(directory.file(spelling)) == root + "/in/a.csv", "\(spelling)")
    }
    #expect(files.canonicalPath(directory.file("in/link.csv")) == root + "/out.csv")
    #expect(files.canonicalPath("a.csv") == files.canonicalPath(files.workingDirectory + "/a.csv"))
    #expect(files.canonicalPath("/../..") == "/")
    try #require(symlink("loop", directory.file("loop")) == 0)
    #expect(files.canonicalPath(directory.file("loop/x")).hasSuffix("/x"))
  }

  @Test(arguments: ["in/o.csv", "in/sub/../o.csv", "ln/o.csv"])
  func `two streams cannot write one file under two names`(spelling: String) throws {
    let found = try messages(
      stream("{ file: { path: /x/i.csv } }", directory.file("in//o.csv")),
      stream("{ file: { path: /x/j.csv } }", directory.file(spelling)))
    #expect(found == ["expected a sink that no other stream has, found that of stream 's0'"])
  }

  @Test func `several streams may write to the null device, by whatever name`() throws {
    try #require(symlink("/dev/null", directory.file("null.csv")) == 0)
    let found = try messages(
      stream("{ file: { path: /x/i.csv } }", "/dev/null"),
      stream("{ file: { path: /x/j.csv } }", directory.file("null.csv")))
    #expect(found == [])
  }

  @Test func `a relative path and an absolute one may be one file`() throws {
    let path = files.workingDirectory + "/evenkeel-test.csv"
    #expect(
      try messages(stream("{ follow: { path: evenkeel-test.csv } }", path)) == [
        "expected a sink other than the source"
      ])
    #expect(
      try messages(
        stream(
          "{ directory: { path: evenkeel-in } }", files.workingDirectory + "/evenkeel-in/o.csv"))
        == ["expected a sink outside the directory of the source"])
  }

  @Test(arguments: ["in/sub/../o.csv", "ln/o.csv", "in/link.csv"])
  func `a stream cannot write into the directory that it reads`(sink: String) throws {
    let found = try messages(
      stream("{ directory: { path: \(directory.file("in")) } }", directory.file(sink)))
    #expect(found == ["expected a sink outside the directory of the source"])
  }

  @Test func `places that differ are allowed`() throws {
    let found = try messages(
      stream("{ file: { path: \(directory.file("in/a.csv")) } }", directory.file("ln/b.csv")),
      stream("{ file: { path: \(directory.file("in/b.csv")) } }", directory.file("ln/c.csv")))
    #expect(found.isEmpty, "\(found)")
  }
}
