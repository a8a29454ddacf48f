import Foundation
import Glibc
import TestSupport
import Testing

/// `normalize --resume` where a run was broken off, and what it refuses.
@Suite(.serialized) struct ResumeTests {
  private let place: Workplace
  private static let options = [
    "--features", "f*", "--batch-size", "64", "--checkpoint-every", "10", "--json-summary",
  ]

  init() throws { place = try Workplace() }

  private func normalize(
    _ input: String = "in.csv.zst", _ others: String...
  ) throws -> Finished {
    try place.start(
      [binary, "normalize", input, "--resume", "state", "-o", "out.csv"] + Self.options + others,
      input: nil
    ).wait()
  }

  /// Leaves the state of a run to which the last part of its input was lacking, and the whole input.
  ///
  /// - Returns: the whole input.
  private func breakOff() throws -> [UInt8] {
    let made = try place.shell(
      "$EVENKEEL generate --rows 30000 --no-compress | split -b 100000 --filter='zstd -qc' "
        + "> whole.csv.zst")
    #expect(made.exitCode == 0, "\(made.errors)")
    let whole = try place.read("whole.csv.zst")
    try write(whole.dropLast(10_000), to: "in.csv.zst")
    let finished = try normalize()
    #expect(finished.exitCode == 65)
    #expect(finished.errors.contains("expected the rest of the zstd frame"), "\(finished.errors)")
    try write(whole, to: "in.csv.zst")
    #expect(!place.files.contains("out.csv"))
    return whole
  }

  @Test(arguments: ["gzip", "lz4"])
  func `a file without places to seek to is read again from its start`(program: String) throws {
    guard try place.shell("command -v \(program)").exitCode == 0 else { return }
    let made = try place.shell(
      "$EVENKEEL generate --rows 30000 --no-compress | \(program) -c > whole.csv.zst")
    #expect(made.exitCode == 0, "\(made.errors)")
    let whole = try place.read("whole.csv.zst")
    try write(whole.dropLast(10_000), to: "in.csv.zst")
    #expect(try normalize().exitCode == 65)
    try write(whole, to: "in.csv.zst")
    let finished = try normalize()
    #expect(finished.exitCode == 0, "\(finished.errors)")
    try expectWhole()
  }

  /// Writes over a file as it stands, which stays the one it is.
  private func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
    try place.write("new", bytes)
    #expect(try place.shell("cat new > '\(name)'; rm new").exitCode == 0)
  }

  private var generations: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: place.path("state"))
        .filter { $0.hasPrefix("checkpoint-") }.sorted()
    }
  }

  private func expectWhole() throws {
    let whole = try place.start(
      [binary, "normalize", "whole.csv.zst", "-o", "whole.csv"] + Self.options.prefix(4), input: nil
    ).wait()
    #expect(whole.exitCode == 0, "\(whole.errors)")
    #expect(try place.read("out.csv") == place.read("whole.csv"))
  }

  @Test func `an input that was read to its end is not read again`() throws {
    let whole = try breakOff()
    let finished = try normalize()
    #expect(finished.exitCode == 0, "\(finished.errors)")
    let summary = try JSONSerialization.jsonObject(with: Data(finished.errors.utf8))
    let bytesIn = try #require((summary as? [String: Any])?["bytes_in"] as? Int)
    // The bytes that are read at once, to see the header, and some frames.
    let mostBytes = (128 << 10) + 100_000
    #expect(whole.count > 3 * mostBytes && bytesIn <= mostBytes, "\(bytesIn) of \(whole.count)")
    try expectWhole()
  }

  @Test func `counts are those since the resume, which is told`() throws {
    let made = try place.shell(
      "$EVENKEEL generate --rows 30000 --no-compress | sed '20001~4000s/,[^,]*/,bad/; 2001s/,[^,]*/,bad/' "
        + "| split -b 100000 --filter='zstd -qc' > whole.csv.zst")
    #expect(made.exitCode == 0, "\(made.errors)")
    let whole = try place.read("whole.csv.zst")
    try write(whole.dropLast(whole.count / 2), to: "in.csv.zst")
    let first = try normalize("in.csv.zst", "--on-bad-record", "skip")
    #expect(first.exitCode == 65)
    #expect(
      first.errors.contains("left out 1 bad record; the first: record 2 000"), "\(first.errors)")
    try write(whole, to: "in.csv.zst")
    let second = try normalize("in.csv.zst", "--on-bad-record", "skip")
    #expect(second.exitCode == 0, "\(second.errors)")
    let lines = second.errors.split(separator: "\n")
    let object = try JSONSerialization.jsonObject(with: Data((lines.last ?? "").utf8))
    let summary = try #require(object as? [String: Any])
    let resumed = try #require(summary["resumed_after_record"] as? Int)
    let (records, bad) = (summary["records"] as? Int ?? 0, summary["bad_records"] as? Int ?? 0)
    #expect(resumed > 2_000 && resumed + records + bad == 30_000 && bad == 3)
    #expect(
      lines.first?.replacing(" ", with: "").contains(
        "leftout3badrecords,sincetherunresumedafterrecord\(resumed);thefirst:record20000") == true,
      "\(second.errors)")
  }

  @Test func `a damaged state is passed over for the one before, and that is said`() throws {
    _ = try breakOff()
    let newest = try #require(try generations.last)
    var bytes = try place.read("state/" + newest)
    bytes[bytes.count / 2] ^= 0x10
    try place.write("state/" + newest, bytes)
    let finished = try normalize()
    #expect(finished.exitCode == 0, "\(finished.errors)")
    let said = finished.errors.split(separator: "\n")
    #expect(
      said.first?.hasPrefix("evenkeel: warning: skipped a damaged checkpoint: state/" + newest)
        == true, "\(finished.errors)")
    try expectWhole()
  }

  @Test func `a damaged state that can be read again later does no harm`() throws {
    _ = try breakOff()
    let newest = try #require(try generations.last)
    let bytes = try place.read("state/" + newest)
    try place.write("state/" + newest, bytes.dropLast())
    // Cut so short that no state is kept before it ends.
    let whole = try place.read("in.csv.zst")
    try write(whole.dropLast(150_000), to: "in.csv.zst")
    #expect(try normalize().exitCode == 65)
    try place.write("state/" + newest, bytes)
    try write(whole, to: "in.csv.zst")
    let finished = try normalize()
    #expect(finished.exitCode == 0, "\(finished.errors)")
    try expectWhole()
  }

  @Test func `the run does not start if every checkpoint is damaged`() throws {
    _ = try breakOff()
    for generation in try generations { try place.write("state/" + generation, [1, 2, 3]) }
    let finished = try normalize()
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.hasPrefix("evenkeel: state: no checkpoint is intact: state/"),
      "\(finished.errors)")
    #expect(finished.errors.lineCount == 1)
  }

  @Test func `other settings, other features and another input are refused, and change nothing`()
    throws
  {
    _ = try breakOff()
    let refusals = [
      (
        ["in.csv.zst", "--momentum", "0.5"],
        "settings: momentum: expected 0.5, found half_life 1700.0 records"
      ),
      (["in.csv.zst", "--features", "f0,f1"], "features: only in the checkpoint: 'f2', 'f3', "),
      (
        ["whole.csv.zst"], "state: expected the state of whole.csv.zst, found that of another input"
      ),
      (
        ["in.csv.zst", "--precision", "float64"],
        "state: expected the format, columns, compression, precision, stamp and dictionaries that the output began with"
      ),
      (
        ["in.csv.zst", "--stamp", "other"],
        "state: expected the format, columns, compression, precision, stamp and dictionaries that the output began with"
      ),
    ]
    for (arguments, line) in refusals {
      // An option that is given twice is refused.
      let others = Self.options.dropFirst(arguments.contains("--features") ? 2 : 0)
      let finished = try place.start(
        [binary, "normalize", "--resume", "state", "-o", "out.csv"] + others + arguments,
        input: nil
      ).wait()
      #expect(finished.exitCode == 78)
      #expect(finished.errors.contains(line), "\(finished.errors)")
      #expect(finished.errors.lineCount == 1)
    }
    let renamed = try place.start(
      [binary, "normalize", "--resume", "state", "in.csv.zst", "-o", "other.csv"] + Self.options,
      input: nil
    ).wait()
    #expect(renamed.exitCode == 78)
    #expect(
      renamed.errors.hasPrefix(
        "evenkeel: --resume: expected the output that the run began, found no part of it: cannot inspect "
      ), "\(renamed.errors)")
    #expect(renamed.errors.contains("give the names that the run began with"))
    #expect(try normalize().exitCode == 0)
    try expectWhole()
    // A complete output differs from that of other settings.
    let finished = try normalize("in.csv.zst", "--momentum", "0.5")
    #expect(
      finished.exitCode == 78 && finished.errors.contains(refusals[0].1), "\(finished.errors)")
    #expect(try normalize().exitCode == 0)
    try expectWhole()
  }

  @Test func `a run with a state may start from the moments of another`() throws {
    let first = try place.evenkeel(
      "normalize", weather, "-o", "1.csv", "--checkpoint-out", "moments")
    #expect(first.exitCode == 0, "\(first.errors)")
    let plain = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--checkpoint-in", "moments")
    #expect(plain.exitCode == 0, "\(plain.errors)")
    // Once it has a state of its own, that counts.
    for _ in 0..<2 {
      let finished = try place.evenkeel(
        "normalize", weather, "-o", "out.csv", "--checkpoint-in", "moments", "--resume", "state")
      #expect(finished.exitCode == 0, "\(finished.errors)")
      #expect(try place.read("out.csv") == place.read("2.csv"))
    }
    #expect(try place.read("out.csv") != place.read("1.csv"))
  }

  @Test func `an input that was cut is refused, and goes on when it is whole again`() throws {
    let whole = try breakOff()
    try write(whole.prefix(whole.count / 2), to: "in.csv.zst")
    let finished = try normalize()
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.hasPrefix(
        "evenkeel: in.csv.zst: the input has changed since the checkpoint was taken: expected "
      ),
      "\(finished.errors)")
    #expect(finished.errors.lineCount == 1)
    #expect(!place.files.contains("out.csv"))
    try write(whole, to: "in.csv.zst")
    #expect(try normalize().exitCode == 0)
    try expectWhole()
  }

  @Test func `a state that another process has is refused`() throws {
    _ = try breakOff()
    let command = "flock state/lock $EVENKEEL normalize in.csv.zst --resume state -o out.csv"
    let finished = try place.shell(command)
    #expect(finished.exitCode == 75)
    #expect(
      finished.errors.hasPrefix("evenkeel: state/lock: the state directory is in use by "),
      "\(finished.errors)")
    #expect(try normalize().exitCode == 0)
    try expectWhole()
  }

  @Test(arguments: [true, false])
  func `a followed file that was cut while nobody looked is read from its beginning`(
    isCompressed: Bool
  ) throws {
    let name = isCompressed ? "live.csv.zst" : "live.csv"
    func bytes(_ header: String, _ records: Range<Int>) throws -> [UInt8] {
      try place.write("text", (header + records.map { "\($0),\($0 % 5)\n" }.joined()).utf8)
      return isCompressed ? try place.shell("zstd -qc text").output : try place.read("text")
    }
    let stream = """
      s:
        source: { follow: { path: \(name) } }
        format: csv
        features: [x]
        normalize: { mode: running }
        sink: { file: { path: out.csv } }
        compression: off
      """
    func expectRecords(_ numbers: [Int], from daemon: Daemon) throws {
      let isThere = eventually { (try? place.read("out.csv").lineCount) == numbers.count + 1 }
      #expect(isThere, "\(daemon.log)")
      let lines = try String(decoding: place.read("out.csv"), as: UTF8.self).split(separator: "\n")
      #expect(lines.dropFirst().map { Int($0.prefix { $0 != "," }) } == numbers)
    }
    try write(bytes("n,x\n", 0..<30) + bytes("", 30..<60), to: name)
    let first = try Daemon(in: place, stream)
    try expectRecords(Array(0..<60), from: first)
    #expect(try first.stop().exitCode == 0)
    try write(bytes("n,x\n", 100..<103), to: name)
    let second = try Daemon(in: place, stream)
    try expectRecords(Array(0..<60) + [100, 101, 102], from: second)
    #expect(try second.stop().exitCode == 0)
  }
}
