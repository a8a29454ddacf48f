import Records
import Testing

@testable import Connectors

extension LiveSourceTests {
  /// A log that is replaced by a copy while it is followed, as an editor does.
  struct FollowCopyTests: FollowSuite {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    /// Follows a log with some text, and has it replaced.
    private func replace(_ text: String, by copy: String) throws -> (SourceDriver, log: [String]) {
      try folder.write(text, to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:\(text)"])
      try folder.write(copy, to: "edited")
      let log = try source.after { try folder.rename("edited", to: "log") }
      return (source, log)
    }

    @Test(arguments: ["", "three\n"])
    func `a copy in the place of the log gives its new bytes alone`(more: String) throws {
      var (source, log) = try replace("one\ntwo\n", by: "one\ntwo\n" + more)
      #expect(log == (more.isEmpty ? [] : ["0:" + more]))
      #expect(try source.after { try folder.append("four\n", to: "log") } == ["0:four\n"])
      #expect(try source.cursor().splits.first?.byteOffset == 13 + more.count)
      // It is the log: the next one ends its split.
      try folder.rename("log", to: "log.1")
      #expect(try source.after { try folder.write("x\n", to: "log") } == ["0 ended", "1:x\n"])
    }

    @Test func `a log with other bytes is read from its beginning`() throws {
      let (_, log) = try replace("one\ntwo\n", by: "one\ntoo\nthree\n")
      #expect(log == ["0 ended", "1:one\ntoo\nthree\n"])
    }

    @Test func `a copy of a log that is still there is another log`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\ntwo\n"])
      let log = try source.after {
        try folder.rename("log", to: "log.1")
        try folder.write("one\ntwo\n", to: "log")
      }
      #expect(log == ["0 ended", "1:one\ntwo\n"])
    }

    @Test func `a copy that was rotated before it was seen gives its new bytes, then the new log`()
      throws
    {
      try folder.write("one\ntwo\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\ntwo\n"])
      let log = try source.after {
        try folder.write("one\ntwo\nthree\n", to: "edited")
        try folder.rename("edited", to: "log")
        try folder.rename("log", to: "log.1")
        try folder.write("new\n", to: "log")
      }
      #expect(log == ["0:three\n", "0 ended", "1:new\n"])
    }

    @Test func `of several later logs none is taken for a copy of a header`() throws {
      try folder.write("a,b\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a,b\n"])
      let log = try source.after {
        try folder.remove("log")
        try folder.write("a,b\n1,2\n", to: "log.1")
        try folder.write("a,b\n3,4\n", to: "log")
      }
      #expect(log == ["0 ended", "1:a,b\n1,2\n", "1 ended", "2:a,b\n3,4\n"])
    }

    @Test func `of several copies of a log that was emptied, the newest has the rest`() throws {
      try folder.write("one\n", to: "log")
      try folder.setAge(of: "log", seconds: 100)
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      let log = try source.after {
        try folder.write("one\ntwo\nthree\n", to: "log.1")
        try folder.write("one\ntwo\n", to: "log.2")
        try folder.setAge(of: "log.2", seconds: 50)
        try folder.write("", to: "log")
      }
      #expect(log.first == "0:two\nthree\n")
      #expect(!log.contains { $0.contains("one") || $0.contains("lost") })
    }

    /// Follows a log that holds a header, and then cuts it after other logs were written.
    private func cut(_ logs: KeyValuePairs<String, String>) throws -> [String] {
      try folder.write("a,b\n", to: "log")
      try folder.setAge(of: "log", seconds: 100)
      var source = try follow()
      #expect(try source.drain() == ["0:a,b\n"])
      return try source.after {
        for (age, log) in zip([50, 40, 30], logs) {
          try folder.write(log.value, to: log.key)
          try folder.setAge(of: log.key, seconds: age)
        }
        try folder.write("5,6\n", to: "log")
      }
    }

    @Test func `of several later logs with the same header, the oldest has the rest`() throws {
      let log = try cut(["log.2": "a,b\n1,2\n", "log.1": "a,b\n3,4\n"])
      #expect(log == ["0:1,2\n", "0 ended", "1:a,b\n3,4\n", "1 ended", "2:5,6\n"])
    }

    @Test func `a log after another one is no copy of a header that was cut`() throws {
      let log = try cut(["log.2": "1,2\n", "log.1": "a,b\n3,4\n"])
      #expect(
        log.filter { !$0.contains("lost") } == [
          "0 ended", "1:1,2\n", "1 ended", "2:a,b\n3,4\n", "2 ended", "3:5,6\n",
        ])
      #expect(log.contains { $0.contains("lost") })
    }
  }
}
