import Foundation
import Glibc
import TestSupport
import Testing

/// Arrow files of the daemon that was killed, and the settings with which no Arrow file can be written.
@Suite(.serialized) struct ArrowFileTests {
  private static func stream(_ sink: String) -> String {
    """
    s:
      source: { unix: { path: in.sock } }
      format: csv
      features: [a, b]
      normalize: { mode: running }
      sink: { file: { path: \(sink) } }
      batch: { size: 8, max_delay: 20ms }
    """
  }

  /// Sends records to the daemon, and waits until they are counted.
  private func feed(_ daemon: Daemon, _ place: Workplace, _ records: Range<Int>) throws {
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header + Records.text(0, records))
    producer.close()
    #expect(try eventually { try daemon.count("records") == records.count })
  }

  /// The records of an Arrow file, as our own command reads them.
  private func indices(of name: String, _ place: Workplace) throws -> [Int]? {
    let read = try place.evenkeel(
      "normalize", name, "--output-format", "csv", "--frozen", "--no-compress", "-o", "-")
    #expect(read.exitCode == 0, "\(read.errors)")
    let text = String(decoding: read.output, as: UTF8.self)
    return Records.indices(text.split(separator: "\n").map(String.init))[0]
  }

  @Test(arguments: ["out.arrow", "out.arrows", "out.arrows.zst"], [true, false])
  func `a file that a killed daemon left is whole when it gets its final name`(
    sink: String, hasCheckpoint: Bool
  ) throws {
    let place = try Workplace()
    let stream = Self.stream(sink)
    let first = try Daemon(in: place, stream)
    try feed(first, place, 0..<25)
    if hasCheckpoint {
      #expect(try first.ask("POST", "/api/v1/streams/s/checkpoint").status == 200)
    }
    _ = try first.stop(SIGKILL)
    // The write that the kill cut off.
    let whole = try place.read(sink)
    let messageBytes = whole.suffix(whole.count / 3)
    try place.write(sink, whole + messageBytes.prefix(200))
    let second = try Daemon(in: place, stream)
    try feed(second, place, 25..<30)
    let stopped = try second.stop()
    #expect(stopped.exitCode == 0)
    let form = sink.hasSuffix(".arrow") ? "ARROW1" : nil
    let rotated = try #require(
      place.files.first { $0.hasPrefix("out-") && $0.contains("000001") }, "\(place.files)")
    let bytes = try place.read(rotated)
    if let form {
      #expect(bytes.suffix(6).elementsEqual(form.utf8))
    } else if sink.hasSuffix(".arrows") {
      #expect(bytes.suffix(8) == [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
    }
    #expect(try indices(of: rotated, place) == Array(0..<25))
    #expect(try indices(of: sink, place) == Array(25..<30))
    #expect(stopped.errors.contains("bytes after that removed"), "\(stopped.errors)")
  }

  @Test func `a file that a stopped daemon left is whole, and no warning tells of it`() throws {
    let place = try Workplace()
    for records in [0..<9, 9..<12] {
      let daemon = try Daemon(in: place, Self.stream("out.arrow"))
      try feed(daemon, place, records)
      let stopped = try daemon.stop()
      #expect(stopped.exitCode == 0 && !stopped.errors.contains("was killed"))
    }
    let rotated = try #require(place.files.first { $0.hasPrefix("out-") }, "\(place.files)")
    #expect(try indices(of: rotated, place) == Array(0..<9))
    #expect(try indices(of: "out.arrow", place) == Array(9..<12))
  }

  // MARK: Settings

  @Test(arguments: [
    ("csv, output: { format: arrow }", "{ file: { path: out.arrow.zst } }", "without .zst"),
    ("{ arrow: { container: file } }", "{ file: { path: out.arrow.zst } }", "without .zst"),
    ("{ arrow: { container: file } }", "{ unix: { path: out.sock } }", "a sink that is a file"),
    ("{ arrow: { container: file } }", "{ fifo: { path: out.fifo } }", "a sink that is a file"),
  ])
  func `check refuses an Arrow file that cannot be written`(
    format: String, sink: String, says: String
  ) throws {
    let place = try Workplace()
    try place.write(
      "f.yaml",
      Array(
        """
        state_directory: state
        streams:
          a: { source: { unix: { path: in.sock } }, format: \(format), sink: \(sink) }
        """.utf8))
    let finished = try place.evenkeel("check", "--config", "f.yaml")
    #expect(finished.exitCode == 78)
    #expect(finished.errors.contains(says), "\(finished.errors)")
    #expect(finished.errors.split(separator: "\n").count == 1, "\(finished.errors)")
  }

  @Test(arguments: [
    (["--arrow-container", "file"], "--arrow-container: expected a file as --output"),
    (
      ["--arrow-container", "file", "-o", "out.arrow.zst"],
      "--output: expected a name without .zst"
    ),
    (
      ["--arrow-container", "file", "-o", "out.bin", "--level", "3"],
      "--output: expected a name without .zst"
    ),
  ])
  func `normalize refuses an Arrow file that cannot be written`(
    options: [String], says: String
  ) throws {
    let place = try Workplace()
    try place.write("in.csv", Array("a\n1\n2\n".utf8))
    let finished = try place.start(
      [binary, "normalize", "in.csv", "--output-format", "arrow"] + options, input: nil
    ).wait()
    #expect(finished.exitCode == 64, "\(finished.errors)")
    #expect(finished.errors.hasPrefix("evenkeel: " + says), "\(finished.errors)")
    #expect(finished.errors.split(separator: "\n").count == 1)
  }
}
