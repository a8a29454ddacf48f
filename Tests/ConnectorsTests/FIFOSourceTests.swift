import Glibc
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct FIFOSourceTests {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    @Test func `writers come and go, each session a run`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true))
      #expect(source.source.endsAnywhere)
      for run in 0..<3 {
        #expect(try source.drain() == [])
        let writer = try Producer.writing(folder("in"))
        #expect(try source.after { writer.write("a\n") } == ["\(run):a\n"])
        #expect(try source.after { writer.write("b") } == ["\(run):b"])
        #expect(try source.after { writer.close() } == ["\(run) ended"])
      }
      #expect(!source.isReady())
    }

    @Test func `writers that overlap are one run`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true))
      let first = try Producer.writing(folder("in"))
      let second = try Producer.writing(folder("in"))
      first.write("a")
      first.close()
      second.write("b")
      #expect(try source.drain() == ["0:ab"])
      #expect(try source.after { second.close() } == ["0 ended"])
    }

    @Test func `a writer that writes nothing is no run, and nobody is kept awake`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true))
      #expect(try source.drain() == [])
      try Producer.writing(folder("in")).close()
      #expect(try source.drain() == [])
      #expect(!source.isReady())
    }

    @Test func `bytes that were written before the first read are read`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true))
      let writer = try Producer.writing(folder("in"))
      writer.write("gone already")
      writer.close()
      let expected = ["0:gone already", "0 ended"]
      #expect(try source.drain(until: expected) == expected)
    }

    @Test func `the rest of an abandoned run is thrown away, however much it is`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true), capacity: 8)
      let writer = try Producer.writing(folder("in"))
      writer.write("bad")
      #expect(try source.drain() == ["0:bad"])
      source.source.abandon(0)
      writer.write(String(repeating: "x", count: 1000))
      writer.close()
      for _ in 0..<10 { #expect(try source.drain() == []) }
      let next = try Producer.writing(folder("in"))
      #expect(try source.after { next.write("good") } == ["1:good"])
    }

    @Test func `a FIFO is made for its owner alone, when asked for`() throws {
      #expect(throws: FileError(operation: .open, path: folder("in"), errno: ENOENT)) {
        _ = try FIFOSource(folder("in"), create: false)
      }
      _ = try FIFOSource(folder("in"), create: true)
      var status = stat()
      #expect(stat(folder("in"), &status) == 0)
      #expect(status.st_mode == S_IFIFO | 0o600)
      _ = try FIFOSource(folder("in"), create: true)
    }

    @Test func `a drain takes what was in the pipe when it began and leaves the rest`() throws {
      var source = SourceDriver(try FIFOSource(folder("in"), create: true))
      let writer = try Producer.writing(folder("in"))
      writer.write("before\n")
      let drains = source.source.drain()
      #expect(drains)
      writer.write("after\n")
      #expect(try source.drain() == ["0:before\n", "end"])
      var next = SourceDriver(try FIFOSource(folder("in"), create: false))
      #expect(try next.drain() == ["0:after\n"])
    }

    @Test func `anything but a FIFO is refused`() throws {
      try folder.write("", to: "file")
      for create in [false, true] {
        #expect(throws: FileError(operation: .open, path: folder("file"), errno: ENOTSUP)) {
          _ = try FIFOSource(folder("file"), create: create)
        }
      }
    }
  }
}
