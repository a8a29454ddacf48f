import Foundation
import Glibc
import TestSupport
import Testing

/// Splits of a running stream that are not as the others: other columns, damaged, rotated, truncated.
@Suite(.serialized) struct ForeignSplitTests {
  private static let header = "id,a,b\n"

  private func rows(_ ids: Range<Int>) -> String {
    ids.map { "\($0),\($0 * 2),\($0 % 3)\n" }.joined()
  }

  private let place: Workplace

  init() throws {
    place = try Workplace()
    try FileManager.default.createDirectory(
      atPath: place.path("drop"), withIntermediateDirectories: true)
  }

  /// A stream of mini-batches of four records.
  private func stream(_ settings: String, source: String = "{ directory: { path: drop } }")
    -> String
  {
    """
    s:
      source: \(source)
      format: { csv: { header: true } }
      features: [a, b]
      batch: { size: 4, max_delay: 1s }
      restart: { initial: 100ms }
      sink: { file: { path: out.csv } }
      compression: off
    """ + settings.split(separator: "\n").map { "\n  " + $0 }.joined()
  }

  private func text(_ name: String) -> String {
    (try? String(contentsOfFile: place.path(name), encoding: .utf8)) ?? ""
  }

  /// The first fields of the records in a file of the output.
  private func ids(in name: String = "out.csv") -> [String] {
    text(name).split(whereSeparator: \.isNewline).map { String($0.prefix { $0 != "," }) }.filter {
      $0 != "id"
    }
  }

  private func names(_ range: Range<Int>) -> [String] { range.map { "\($0)" } }

  // MARK: Other columns

  @Test
  func `a file with swapped columns is refused at every start and the records before it stay`()
    throws
  {
    try place.write("drop/1.csv", (Self.header + rows(0..<7)).utf8)
    try place.write("drop/2.csv", ("id,b,a\n" + rows(7..<9)).utf8)
    let daemon = try Daemon(in: place, stream(""))
    #expect(try eventually { try daemon.count("restarts") >= 2 })
    #expect(daemon.log.contains("2.csv: expected the columns that the stream began with"))
    #expect(eventually { ids() == names(0..<7) })
    let restarts = try daemon.count("restarts")
    #expect(try eventually { try daemon.count("restarts") > restarts + 1 })
    #expect(ids() == names(0..<7))
    _ = try daemon.stop()
    #expect(ids() == names(0..<7))
  }

  @Test
  func `a file with swapped columns is skipped and the same names in other bytes are read`()
    throws
  {
    try place.write("drop/1.csv", (Self.header + rows(0..<8)).utf8)
    try place.write("drop/2.csv", ("id,b,a\n" + rows(8..<9)).utf8)
    let text = rows(9..<13).replacing("\n", with: "\r\n")
    try place.write("drop/3.csv", ("\u{FEFF}\"id\", a ,\"b\"\r\n" + text).utf8)
    let daemon = try Daemon(in: place, stream("on_schema_change: skip"))
    #expect(eventually { ids() == names(0..<8) + names(9..<13) })
    #expect(daemon.log.contains("2.csv is skipped"))
    #expect(try daemon.count("restarts") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a file with swapped columns begins a new file of the output`() throws {
    try place.write("drop/1.csv", (Self.header + rows(0..<8)).utf8)
    try place.write("drop/2.csv", ("id,b,a\n" + rows(8..<12)).utf8)
    let daemon = try Daemon(in: place, stream("on_schema_change: new_file"))
    #expect(eventually { ids() == names(8..<12) })
    #expect(try daemon.stop().exitCode == 0)
    let rotated = try #require(place.files.first { $0.hasPrefix("out") && $0 != "out.csv" })
    #expect(ids(in: rotated) == names(0..<8))
    #expect(text(rotated).hasPrefix("id,a,b\n"))
    #expect(text("out.csv").hasPrefix("id,b,a\n"))
  }

  @Test func `a last line without an end is a record of its own`() throws {
    try place.write("drop/1.csv", (Self.header + rows(0..<5)).dropLast().utf8)
    try place.write("drop/2.csv", (Self.header + rows(5..<8)).dropLast().utf8)
    try place.write("drop/3.csv", (Self.header + rows(8..<9)).utf8)
    let daemon = try Daemon(in: place, stream(""))
    #expect(eventually { ids() == names(0..<9) }, "\(text("out.csv"))")
    #expect(try daemon.stop().exitCode == 0)
  }

  // MARK: Splits that cannot be read

  private func writeDamaged() throws {
    try place.write("drop/1.csv", (Self.header + rows(0..<8)).utf8)
    try place.write("plain.csv", (Self.header + rows(8..<1000)).utf8)
    _ = try place.shell("zstd -q --check plain.csv -o whole.zst")
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: place.path("whole.zst"))))
    bytes[bytes.count / 2] ^= 0xff
    try place.write("drop/2.csv.zst", bytes)
    try place.write("drop/3.csv", (Self.header + rows(1000..<1004)).utf8)
  }

  @Test func `a damaged file stops the stream at every start`() throws {
    try writeDamaged()
    let daemon = try Daemon(in: place, stream(""))
    #expect(try eventually { try daemon.count("restarts") >= 2 })
    #expect(daemon.log.contains("2.csv.zst"))
    #expect(eventually { ids().prefix(8) == names(0..<8)[...] })
    #expect(!ids().contains("1000"))
    _ = try daemon.stop()
  }

  @Test func `a damaged file is skipped`() throws {
    try writeDamaged()
    let daemon = try Daemon(in: place, stream("on_bad_split: skip"))
    #expect(eventually { ids().suffix(4) == names(1000..<1004)[...] })
    #expect(daemon.log.contains("2.csv.zst is skipped"))
    #expect(try daemon.count("restarts") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a bad record stops the stream at every start and the records before it stay`() throws
  {
    try place.write("log.csv", (Self.header + rows(0..<6) + "6,x,1\n" + rows(7..<9)).utf8)
    let daemon = try Daemon(in: place, stream("", source: "{ follow: { path: log.csv } }"))
    #expect(try eventually { try daemon.count("restarts") >= 2 })
    #expect(daemon.log.contains("record 7, "))
    #expect(eventually { ids() == names(0..<6) })
    let restarts = try daemon.count("restarts")
    #expect(try eventually { try daemon.count("restarts") > restarts + 1 })
    #expect(ids() == names(0..<6))
    _ = try daemon.stop()
    // The run that may leave it out goes on exactly there.
    let second = try Daemon(
      in: place, stream("on_bad_record: skip", source: "{ follow: { path: log.csv } }"))
    #expect(eventually { ids() == names(0..<6) + names(7..<9) })
    #expect(try second.stop().exitCode == 0)
  }

  // MARK: Followed files

  @Test func `rows after a truncation are read with the columns of the stream`() throws {
    try place.write("log.csv", (Self.header + rows(0..<8)).utf8)
    let daemon = try Daemon(in: place, stream("", source: "{ follow: { path: log.csv } }"))
    #expect(eventually { ids() == names(0..<8) })
    _ = try place.shell("cp log.csv log.csv.1; : > log.csv; printf '8,1,2\\n9,2,0\\n' >> log.csv")
    #expect(eventually { ids() == names(0..<10) })
    #expect(try daemon.count("restarts") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a rotated file is finished after a kill`() throws {
    let settings = "checkpoint: { interval: 1h }"
    let source = "{ follow: { path: log.csv } }"
    try place.write("log.csv", (Self.header + rows(0..<8)).utf8)
    let first = try Daemon(in: place, stream(settings, source: source))
    #expect(eventually { ids() == names(0..<8) })
    rename(place.path("log.csv"), place.path("log.csv.1"))
    try place.write("log.csv", (Self.header + rows(8..<10)).utf8)
    _ = try first.stop(SIGKILL)
    let second = try Daemon(in: place, stream(settings, source: source))
    #expect(eventually { ids() == names(0..<10) })
    #expect(try second.stop().exitCode == 0)
    #expect(ids() == names(0..<10))
  }
}
