import Dataflow
import Foundation
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// How many complete files stay with which settings.
struct Stay: Sendable {
  var keep: Int?
  var total: Int?
  var files: Int
}

@Suite struct RotatingFileSinkTests {
  private let directory: TemporaryDirectory
  private let clock = ManualClock()

  init() throws { directory = try TemporaryDirectory() }

  private func open(
    byteLimit: Int? = nil, age: Double? = nil, keep: Int? = nil, total: Int? = nil,
    at position: RotatingFileSink.Position? = nil
  ) throws -> RotatingFileSink {
    var sink = try RotatingFileSink(
      path: directory.file("weather.csv"),
      rotation: .init(
        byteLimit: byteLimit, ageLimitSeconds: age, keep: keep, totalByteLimit: total),
      in: POSIXFileSystem(), at: position, clock: clock.clock)
    try sink.begin(bytes("head\n"))
    return sink
  }

  /// The texts of the rotated files in the order of their names, then that of the growing file.
  private func texts() throws -> [String] {
    let names = try directory.names
    return try (names.filter { $0 != "weather.csv" } + ["weather.csv"]).map(directory.text)
  }

  @Test func `without limits one file grows`() throws {
    var sink = try open()
    for text in ["a\n", "b\n"] { try sink.write(bytes(text)) }
    #expect(try sink.push() == nil)
    #expect(sink.attention == nil)
    #expect(try directory.text("weather.csv") == "head\na\nb\n")
    try sink.finish()
    #expect(try directory.names == ["weather.csv"])
  }

  @Test func `a file never grows beyond its size, and each begins with the prologue`() throws {
    var sink = try open(byteLimit: 12)
    for text in ["aaa\n", "bb\n", "cc\n", "dddd\n", "e\n"] { try sink.write(bytes(text)) }
    try sink.finish()
    #expect(
      try directory.names == [
        "weather-20261122T091500Z-000001.csv", "weather-20261122T091500Z-000002.csv",
        "weather.csv",
      ])
    #expect(try texts() == ["head\naaa\nbb\n", "head\ncc\n", "head\ndddd\ne\n"])
  }

  @Test(arguments: [
    Stay(keep: 2, files: 2), Stay(total: 20, files: 2), Stay(total: 19, files: 1),
    Stay(keep: 0, total: 1 << 20, files: 0), Stay(keep: 9, files: 4),
  ])
  func `only the newest complete files stay, by their number and by their bytes`(
    stay: Stay
  ) throws {
    var sink = try open(byteLimit: 10, keep: stay.keep, total: stay.total)
    for text in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n"] { try sink.write(bytes(text)) }
    // A checkpoint may lead back to before the first sync.
    try sink.sync()
    try sink.sync()
    try sink.finish()
    let complete = ["aaaa", "bbbb", "cccc", "dddd"].suffix(stay.files).map { "head\n\($0)\n" }
    #expect(try texts() == complete + ["head\neeee\n"])
  }

  @Test(arguments: [("head\n", ["head\na\nb\nc\n"]), ("other\n", ["head\na\nb\n", "other\nc\n"])])
  func `after a trim the file goes on if it begins with the same prologue`(
    prologue: String, expected: [String]
  ) throws {
    var first = try open()
    for text in ["a\n", "b\n", "torn"] { try first.write(bytes(text)) }
    try first.finish()
    var sink = try RotatingFileSink(
      path: directory.file("weather.csv"), rotation: .init(), in: POSIXFileSystem(),
      clock: clock.clock)
    let end = try sink.trim(after: RotatingFileSink.Position(byteCount: 5, sequence: 0)) {
      (_, _, end) throws(FileError) in end - 4
    }
    try sink.resume(at: #require(end))
    try sink.begin(bytes(prologue))
    try sink.write(bytes("c\n"))
    try sink.finish()
    #expect(try texts() == expected)
  }

  @Test func `a write above the size has a file of its own`() throws {
    var sink = try open(byteLimit: 8)
    for text in ["a\n", "bbbbbbbbbbbbb\n", "c\n"] { try sink.write(bytes(text)) }
    #expect(try texts() == ["head\na\n", "head\nbbbbbbbbbbbbb\n", "head\nc\n"])
  }

  @Test func `the age of a file counts from its first write`() throws {
    var sink = try open(age: 60)
    clock.advance(by: 1000)
    #expect(sink.attention == nil)
    try sink.write(bytes("a\n"))
    #expect(sink.attention == Awaiting(nil, seconds: 60))
    clock.advance(by: 59)
    try sink.write(bytes("b\n"))
    clock.advance(by: 1)
    try sink.write(bytes("c\n"))
    #expect(try texts() == ["head\na\nb\n", "head\nc\n"])
    #expect(try directory.names.first == "weather-20261122T093240Z-000001.csv")
  }

  @Test func `a file is rotated by its age without another write`() throws {
    var sink = try open(age: 60)
    try sink.write(bytes("a\n"))
    clock.advance(by: 61)
    #expect(sink.attention?.seconds == 0)
    #expect(try sink.push() == nil)
    #expect(try texts() == ["head\na\n", ""])
    #expect(sink.attention == nil)
    clock.advance(by: 100)
    _ = try sink.push()
    #expect(try directory.names.count == 2)
  }

  @Test func `names sort in the order of rotation even when the clock goes back`() throws {
    var sink = try open(byteLimit: 1)
    for number in 0..<12 {
      try sink.write(bytes("\(number)\n"))
      clock.advance(by: number % 3 == 0 ? -7000 : 30)
    }
    try sink.finish()
    sink = try open(byteLimit: 1)
    clock.advance(by: -100_000)
    for number in 12..<15 { try sink.write(bytes("\(number)\n")) }
    #expect(try texts() == (0..<15).map { "head\n\($0)\n" })
  }

  private func letters(keep: Int) throws -> RotatingFileSink {
    try RotatingFileSink(
      path: directory.file("letters"), rotation: .init(byteLimit: 4, keep: keep),
      in: POSIXFileSystem(), clock: clock.clock)
  }

  @Test func `a sink that is neither begun nor resumed appends`() throws {
    for text in ["a\n", "b\n"] {
      var sink = try letters(keep: 1)
      try sink.write(bytes(text))
      try sink.finish()
    }
    #expect(try directory.text("letters") == "a\nb\n")
  }

  @Test func `a file that the last checkpoint needs is not removed`() throws {
    var sink = try letters(keep: 1)
    try sink.write(bytes("a\n"))
    try sink.sync()
    let place = try #require(sink.outputPosition)
    for text in ["b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] { try sink.write(bytes(text)) }
    #expect(try directory.names.count == 4)
    var second = try letters(keep: 1)
    try second.resume(at: place)
    #expect(try directory.names == ["letters"])
    #expect(try directory.text("letters") == "a\n")
    for text in ["b\n", "c\n", "d\n", "e\n"] { try second.write(bytes(text)) }
    try second.sync()
    #expect(try directory.names.count == 3, "the checkpoint that it is synced for is yet to come")
    try second.sync()
    #expect(try directory.names.count == 2)
  }

  @Test func `if the file of a position was removed as too old, resuming begins the next file`()
    throws
  {
    var sink = try letters(keep: 1)
    try sink.write(bytes("a\n"))
    try sink.sync()
    let place = try #require(sink.outputPosition)
    for text in ["b\n", "c\n", "d\n", "e\n"] { try sink.write(bytes(text)) }
    for _ in 0..<2 { try sink.sync() }
    var second = try letters(keep: 1)
    let next = try second.position(toResumeAt: place)
    #expect(next == OutputPosition(byteCount: 0, sequence: place.sequence))
    try second.resume(at: place)
    #expect(try directory.names == ["letters"])
    #expect(try directory.text("letters") == "")
    // Nothing records that the file is gone, so a later run must resume at the new position.
    var third = try letters(keep: 1)
    #expect(try third.position(toResumeAt: next) == next)
    try third.resume(at: next)
    #expect(throws: FileError(operation: .seek, path: directory.file("letters"), errno: ENODATA)) {
      try third.resume(at: place)
    }
  }

  @Test func `a position whose file exists is resumed as it is`() throws {
    var sink = try letters(keep: 2)
    try sink.write(bytes("a\n"))
    let place = try #require(sink.outputPosition)
    #expect(try sink.position(toResumeAt: place) == place)
    for text in ["b\n", "c\n"] { try sink.write(bytes(text)) }
    #expect(try sink.position(toResumeAt: place) == place)
  }

  @Test func `a file that exists at the start is rotated and not overwritten`() throws {
    try Data("old\n".utf8).write(to: URL(filePath: directory.file("weather.csv")))
    var sink = try open()
    #expect(try texts() == ["old\n", ""])
    try sink.write(bytes("a\n"))
    #expect(try texts() == ["old\n", "head\na\n"])
    #expect(sink.position.sequence == 1)
  }

  @Test func `an empty file is written to`() throws {
    for _ in 0..<3 {
      var sink = try open()
      try sink.finish()
    }
    #expect(try directory.names == ["weather.csv"])
    #expect(try directory.text("weather.csv") == "")
  }

  @Test func `other files stay untouched`() throws {
    let others = [
      "weather-1.csv", "weather-20261122T091500Z-000007.json", "weather-x-000009.csv",
      "climate-20261122T091500Z-000008.csv", "weather-20261122T091500Z-7.csv",
      "weather-20261122T091500Z-99999999999999999999.csv",
    ]
    for name in others { try Data().write(to: URL(filePath: directory.file(name))) }
    var sink = try open(byteLimit: 1, at: .init(byteCount: 0, sequence: 0))
    for text in ["a\n", "b\n"] { try sink.write(bytes(text)) }
    #expect(
      try Set(directory.names)
        == Set(others + ["weather.csv", "weather-20261122T091500Z-000001.csv"]))
  }

  @Test func `resuming at a position removes the bytes after it`() throws {
    var sink = try open(age: 60)
    try sink.write(bytes("a\n"))
    let position = sink.position
    #expect(position.byteCount == 7)
    try sink.write(bytes("b\n"))
    clock.advance(by: 10)
    sink = try open(age: 60, at: position)
    #expect(try directory.text("weather.csv") == "head\na\n")
    #expect(sink.attention?.seconds == 50)
    try sink.write(bytes("c\n"))
    #expect(try directory.text("weather.csv") == "head\na\nc\n")
  }

  @Test(arguments: [0, 1, 2, 3, 4, 5])
  func `resuming at a position undoes later rotations`(count: Int) throws {
    let numbers = (0..<6).map { "\($0)\n" }
    var sink = try open(byteLimit: 9)
    for text in numbers[..<count] { try sink.write(bytes(text)) }
    let position = sink.position
    for text in numbers[count...] { try sink.write(bytes("x\(text)")) }
    try sink.finish()
    sink = try open(byteLimit: 9, at: position)
    #expect(sink.position == position)
    for text in numbers[count...] { try sink.write(bytes(text)) }
    try sink.finish()
    #expect(try texts() == ["head\n0\n1\n", "head\n2\n3\n", "head\n4\n5\n"])
  }

  @Test func `a file shorter than the position is refused`() throws {
    var sink = try open()
    try sink.write(bytes("a\n"))
    #expect(throws: FileError.self) { try open(at: .init(byteCount: 100, sequence: 0)) }
    #expect(try directory.text("weather.csv") == "head\na\n")
  }

  @Test func `a directory or a FIFO at the path is not replaced`() throws {
    try FileManager.default.createDirectory(
      atPath: directory.file("weather.csv"), withIntermediateDirectories: false)
    #expect(throws: FileError.self) { try open() }
    try FileManager.default.removeItem(atPath: directory.file("weather.csv"))
    #expect(mkfifo(directory.file("weather.csv"), 0o600) == 0)
    #expect(throws: FileError.self) { try open() }
  }

  @Test func `every descriptor is closed`() throws {
    var sink = try open(byteLimit: 1)
    for number in 0..<20 { try sink.write(bytes("\(number)\n")) }
    #expect(try openDescriptors(leadingTo: directory.path) == 1)
    try sink.finish()
    #expect(try openDescriptors(leadingTo: directory.path) == 0)
  }

  @Test(arguments: [
    ("weather.csv.zst", "weather-20261122T091500Z-000001.csv.zst"),
    ("a.b.ndjson", "a.b-20261122T091500Z-000001.ndjson"),
    ("plain", "plain-20261122T091500Z-000001"),
    (".hidden", ".hidden-20261122T091500Z-000001"),
    (".hidden.zst", ".hidden-20261122T091500Z-000001.zst"),
    ("x.zst", "x-20261122T091500Z-000001.zst"),
    ("trailing.", "trailing-20261122T091500Z-000001."),
  ])
  func `the extensions stay at the end of a name`(name: String, rotated: String) {
    let names = RotatedNames(of: name)
    let mark = RotatedNames.Mark(
      stamp: RotatedNames.stamp(Double(ManualClock.startSeconds)), sequence: 1)
    #expect(names.name(mark) == rotated)
    #expect(names.mark(of: rotated) == mark)
    #expect(names.mark(of: name) == nil)
  }
}
