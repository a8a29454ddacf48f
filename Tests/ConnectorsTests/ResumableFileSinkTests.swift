import Foundation
import Records
import Storage
import Testing

@testable import Connectors

@Suite struct ResumableFileSinkTests {
  private let folder: SourceFolder
  private let files = POSIXFileSystem()

  init() throws { folder = try SourceFolder() }

  private func read(_ name: String) -> String? {
    try? String(contentsOfFile: folder(name), encoding: .utf8)
  }

  @Test func `a file gets its name when it is complete`() throws {
    var sink = try ResumableFileSink(folder("out"), in: files)
    try sink.begin(Array("h\n".utf8))
    try sink.write(Array("1\n".utf8))
    #expect(read("out") == nil)
    try sink.finish()
    #expect(read("out") == "h\n1\n")
  }

  @Test func `a file is replaced through a link, and keeps its permissions`() throws {
    try Data("old".utf8).write(to: URL(fileURLWithPath: folder("file")))
    #expect(chmod(folder("file"), 0o640) == 0)
    #expect(symlink("file", folder("out")) == 0)
    var sink = try ResumableFileSink(folder("out"), in: files)
    try sink.begin(Array("h\n".utf8))
    try sink.finish()
    #expect(read("file") == "h\n")
    #expect(files.isSymbolicLink(folder("out")))
    #expect(try files.status(of: folder("file")).permissions == 0o640)
  }

  @Test func `a later run appends after the position`() throws {
    var first = try ResumableFileSink(folder("out"), in: files)
    try first.begin(Array("h\n".utf8))
    try first.write(Array("1\n".utf8))
    let place = try #require(first.outputPosition)
    try first.write(Array("2\n".utf8))
    try first.sync()
    var second = try ResumableFileSink(folder("out"), in: files)
    try second.resume(at: place)
    try second.begin(Array("h\n".utf8))
    try second.write(Array("3\n".utf8))
    try second.finish()
    #expect(read("out") == "h\n1\n3\n")
  }

  @Test func `a complete file stays unchanged`() throws {
    var first = try ResumableFileSink(folder("out"), in: files)
    try first.begin(Array("h\n".utf8))
    try first.write(Array("1\n".utf8))
    let place = try #require(first.outputPosition)
    try first.finish()
    for _ in 0..<2 {
      var again = try ResumableFileSink(folder("out"), in: files)
      try again.resume(at: place)
      #expect(again.outputPosition == place)
      try again.begin([])
      try again.finish()
      #expect(read("out") == "h\n1\n")
    }
  }

  @Test func `a position without a file, or in another file, is an error`() throws {
    var sink = try ResumableFileSink(folder("out"), in: files)
    #expect(throws: FileError.self) {
      try sink.resume(at: OutputPosition(byteCount: 4, sequence: 0))
    }
    try folder.write("other", to: "out")
    #expect(throws: FileError.self) {
      try sink.resume(at: OutputPosition(byteCount: 4, sequence: 0))
    }
    #expect(read("out") == "other")
  }
}
