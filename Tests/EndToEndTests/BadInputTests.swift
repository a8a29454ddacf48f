import Foundation
import TestSupport
import Testing

/// Bad input gives one clear line and an exit code, and leaves nothing that looks like output.
@Suite struct BadInputTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var input: [UInt8]
    var file = "in.csv"
    var options: [String] = []
    var exitCode: Int32 = 65
    var line: String

    init(
      _ name: String, _ input: String, options: [String] = [], exitCode: Int32 = 65,
      says line: String
    ) {
      self.name = name
      self.input = Array(input.utf8)
      self.options = options
      self.exitCode = exitCode
      self.line = line
    }

    var testDescription: String { name }
  }

  static let cases = [
    Case("an empty file", "", says: "in.csv: expected a header line, found the end of the stream"),
    Case(
      "a header alone", "a,b\n",
      says:
        "in.csv: expected a record after the header, which tells the columns of numbers, found none"
    ),
    Case(
      "lines that end in a carriage return alone", "a,b\r1,2\r",
      says:
        "in.csv: expected lines that end in a line feed, found lines that end in a carriage return"),
    Case(
      "a wrong field count", "a,b\n1,2\n3\n",
      says: "in.csv: record 2, byte 8: expected 2 fields, found 1"),
    Case(
      "text in a number column", "a,b\n1,2\n3,x\n",
      says: "in.csv: record 2, byte 8: expected a number in feature 'b', found 'x'"),
    Case(
      "an infinity", "a,b\n1,2\n-Infinity,4\n",
      says: "in.csv: record 2, byte 8: expected a number in feature 'a', found '-Infinity'"),
    Case(
      "an unterminated quote", "a,b\n1,2\n\"3,4\n5,6\n",
      says: "in.csv: record 2, byte 8: expected a closing quote, found the end of the stream"),
    Case(
      "features that match nothing", "temp,b\n1,2\n", options: ["--features", "tmp"],
      says:
        "in.csv: expected a column that 'tmp' matches, found none among 'temp', 'b'; did you mean 'temp'?"
    ),
    Case(
      "no column of numbers", "a,b\nx,y\n",
      says: "in.csv: expected numbers in some column of the first records, found none"),
    Case(
      "every column excluded", "a,b\n1,2\n", options: ["--exclude", "*"],
      says: "in.csv: expected a column that is not excluded, found none: all are excluded"),
    Case(
      "every column of numbers excluded", "a,b\nx,2\n", options: ["--exclude", "b"],
      says: "in.csv: expected numbers in some column of the first records, found none in a column "
        + "that is not excluded"),
    Case(
      "a missing value under on-missing reject", "a,b\n1,2\n,4\n",
      options: ["--on-missing", "reject"],
      says: "in.csv: record 2, byte 8: expected a value of feature 'a', found a missing one, ''"),
    Case(
      "an absurd number", "a\n1\n1e308\n",
      says: "in.csv: record 2, byte 4: expected a number of at most 1e+100 in size in feature 'a', "
        + "found '1e308'; --on-invalid missing takes such numbers as missing"),
    Case(
      "an unknown checkpoint", "a\n1\n", options: ["--checkpoint-in", "none.safetensors"],
      exitCode: 66, says: "cannot open none.safetensors: No such file or directory"),
    Case(
      "a checkpoint that is none", "a\n1\n", options: ["--checkpoint-in", "in.csv"],
      says: "in.csv: "),
    Case(
      "settings out of range", "a\n1\n", options: ["--clip", "0"], exitCode: 64,
      says: "--clip: expected a finite number above 0, or off, found '0'"),
    Case(
      "a combination that means nothing", "a\n1\n",
      options: ["--estimator", "total", "--variance", "biased"], exitCode: 64,
      says: "--variance: expected --estimator batch_norm"),
    Case(
      "an option that is no number", "a\n1\n", options: ["--momentum", "much"], exitCode: 64,
      says: "--momentum: expected a number above 0, at most 1, or cumulative, found 'much'"),
  ]

  @Test(arguments: cases)
  func `bad input gives one line, an exit code and no output`(_ bad: Case) throws {
    let place = try Workplace()
    try place.write(bad.file, bad.input)
    let command =
      [binary, "normalize", bad.file, "-o", "out.csv.zst", "--checkpoint-out", "out.safetensors"]
      + bad.options
    let finished = try place.start(command, input: nil).wait()
    #expect(finished.exitCode == bad.exitCode)
    #expect(finished.errors.hasPrefix("evenkeel: " + bad.line), "\(finished.errors)")
    #expect(finished.errors.filter { $0 == "\n" }.count == 1, "\(finished.errors)")
    #expect(place.files == [bad.file])
  }

  @Test(
    arguments: [
      ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0x00, 0x04], "in.csv", [], "csv, found an xz file"),
      (Array("PAR1\u{15}\u{4}".utf8), "in.csv", [], "csv, found a Parquet file"),
      (Array("PAR1\u{15}\u{4}".utf8), "in.ndjson", [], "ndjson, found a Parquet file"),
      (
        Array("ARROW1\0\0".utf8), "in.raw", ["--columns", "2"], "raw, found an Arrow file (Feather)"
      ),
      ([0xFF, 0xFE, 0x61, 0x00, 0x0A, 0x00], "in.csv", [], "csv, found text in UTF-16LE"),
    ] as [([UInt8], String, [String], String)])
  func `a file of another kind is named, with what to do`(
    bytes: [UInt8], file: String, options: [String], says: String
  ) throws {
    let place = try Workplace()
    try place.write(file, bytes)
    let command = [binary, "normalize", file, "-o", "out"] + options
    let finished = try place.start(command, input: nil).wait()
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.hasPrefix("evenkeel: \(file): expected \(says); "), "\(finished.errors)")
    #expect(place.files == [file])
  }

  @Test func `a file that was compressed twice is told`() throws {
    let place = try Workplace()
    let finished = try place.shell(
      "printf 'a,b\\n1,2\\n' | zstd -c | zstd -c > in.csv.zst; $EVENKEEL normalize in.csv.zst -o out"
    )
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.contains("a zstd file within a compressed one; it was compressed twice"))
  }

  @Test func `a truncated frame, a flipped bit and a wrong checksum are told apart`() throws {
    let place = try Workplace()
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: weather)))
    var flipped = whole
    flipped[50_000] ^= 0x10
    var wrongSum = whole
    wrongSum[whole.count - 1] ^= 1
    for (bytes, says) in [
      (Array(whole[..<100_000]), "expected the rest of the zstd frame, found the end"),
      (flipped, "broken zstd frame: data corruption detected"),
      (wrongSum, "expected the checksum of the frame, found another"),
      (whole + Array("junk".utf8), "expected a zstd frame, found other bytes"),
    ] {
      try place.write("in.csv.zst", bytes)
      let finished = try place.evenkeel(
        "normalize", "in.csv.zst", "-o", "out.csv", "--features", "temp")
      #expect(finished.exitCode == 65)
      #expect(finished.errors.hasPrefix("evenkeel: in.csv.zst: frame at byte "))
      #expect(finished.errors.hasSuffix(says + "\n"), "\(finished.errors)")
      #expect(place.files == ["in.csv.zst"])
    }
  }

  @Test func `a gzip bomb is refused in bounded memory`() throws {
    let place = try Workplace()
    let finished = try place.shell(
      "(echo a; head -c 268435456 /dev/zero | tr '\\0' 1) | gzip -1 > in.csv.gz; "
        + "$MEASURED normalize in.csv.gz -o out.csv")
    #expect(finished.exitCode == 65)
    #expect(finished.errors.contains("expected a record of at most"), "\(finished.errors)")
    #expect(try place.peakMemory() < 128 << 20)
    #expect(place.files == ["in.csv.gz"])
  }

  @Test(arguments: [
    ("out.csv.gz", ".zst"), ("out.LZ4", ".zst"),
    ("out.parquet", "CSV, NDJSON, Arrow or raw floats"),
    ("out.npy", "CSV, NDJSON, Arrow or raw floats"),
  ])
  func `an output whose name tells something else is refused`(name: String, says: String) throws {
    let place = try Workplace()
    try place.write("in.csv", Array("a\n1\n2\n".utf8))
    let finished = try place.evenkeel("normalize", "in.csv", "-o", name)
    #expect(finished.exitCode == 64)
    #expect(finished.errors.hasPrefix("evenkeel: --output: expected "), "\(finished.errors)")
    #expect(finished.errors.contains(says))
    #expect(place.files == ["in.csv"])
  }

  @Test func `records that were left out are told at the end, with the first one's reason`() throws
  {
    let place = try Workplace()
    try place.write("in.csv", Array("a,b\n1,2\nx,3\n3,4\n5\n".utf8))
    let finished = try place.evenkeel(
      "normalize", "in.csv", "-o", "out.csv", "--on-bad-record", "skip")
    #expect(finished.exitCode == 0)
    let line = """
      evenkeel: warning: in.csv: left out 2 bad records; the first: record 2, byte 8: \
      expected a number in feature 'a', found 'x'
      """
    #expect(finished.errors.split(separator: "\n").last.map(String.init) == line)
    let kept = try place.evenkeel(
      "normalize", "in.csv", "-o", "out.csv", "--on-bad-record", "dead_letter", "--dead-letters",
      "bad")
    #expect(kept.errors.contains("left out 2 bad records, kept in bad; the first: record 2"))
  }

  @Test func `bad rows that stay in Arrow are told so, and each bad record with its file`() throws {
    let place = try Workplace()
    for (name, times) in [("a", [1, 2, 99_999_999_999, 4]), ("b", [5, 6, 99_999_999])] {
      let rows = times.map { "\($0),\($0 % 7)\n" }.joined()
      try place.write("\(name).csv", Array(("t,x\n" + rows).utf8))
    }
    let time = "--features x --time-column t --time-format unix_s"
    let skipping = "\(time) --on-bad-record skip"
    // The third record of a has no time that fits, and all are in one batch.
    let run = try place.shell(
      "$EVENKEEL normalize a.csv b.csv --output-format arrow --features x -o all.arrows 2>&1 && "
        + "$EVENKEEL normalize all.arrows \(skipping) -o out.arrows")
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(
      run.errors.contains(
        "all.arrows: 1 bad record stays in the output without features; the first: record 3, byte "),
      "\(run.errors)")
    // The time fits, and is of the future. The last record of its batch is bad too.
    let future = try place.shell(
      "sed 's/^99999999999/8000000000/' a.csv > c.csv && sed 's/^4,/x,/' c.csv > d.csv && "
        + "$EVENKEEL normalize b.csv d.csv \(skipping) -o out.csv; "
        + "$EVENKEEL normalize b.csv c.csv \(time) -o out.csv")
    #expect(future.exitCode == 65)
    let lines = future.errors.split(separator: "\n")
    #expect(
      lines.first?.contains("left out 2 bad records; the first: d.csv: record 4, byte 25: ")
        == true,
      "\(lines)")
    #expect(
      lines.last?.hasPrefix("evenkeel: c.csv: record 3, byte 12: expected a time up to ") == true,
      "\(lines)")
  }

  @Test func `a line of a gigabyte is refused in bounded memory`() throws {
    let place = try Workplace()
    let finished = try place.shell(
      """
      (echo a; head -c 1073741824 /dev/zero | tr '\\0' 1) 2>/dev/null \
        | $MEASURED normalize --format csv -o out.csv
      """)
    #expect(finished.exitCode == 65)
    #expect(
      finished.errors.hasPrefix(
        "evenkeel: stdin: record 1, byte 2: expected a record of at most 16777216 bytes, "
          + "found a longer one"),
      "\(finished.errors)")
    #expect(try place.peakMemory() < 128 << 20)
    #expect(place.files == [])
  }

  @Test func `a frame with a window of a gigabyte is refused before it is allocated`() throws {
    let place = try Workplace()
    // Magic number, descriptor without sizes, and a window of 2^30 bytes (RFC 8878, 3.1.1.1.2).
    try place.write("in.csv.zst", [0x28, 0xB5, 0x2F, 0xFD, 0x00, (30 - 10) << 3, 0x01, 0x00, 0x00])
    let finished = try place.shell("$MEASURED normalize in.csv.zst -o out.csv")
    #expect(finished.exitCode == 65)
    #expect(finished.errors.contains("a zstd window of at most 2^27 bytes"))
    #expect(finished.errors.contains("--long"))
    #expect(try place.peakMemory() < 64 << 20)
    #expect(place.files == ["in.csv.zst"])
  }

  @Test func `errors are JSON where they are asked for so`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel("normalize", "none.csv", "--log-format", "json")
    let line = try JSONSerialization.jsonObject(with: Data(finished.errors.utf8))
    let fields = try #require(line as? [String: Any])
    #expect(finished.exitCode == 66)
    #expect(fields["exit_code"] as? Int == 66)
    #expect(fields["message"] as? String == "cannot open none.csv: No such file or directory")
  }

  @Test(arguments: [
    ("--checkpoint-out in.csv", "that of the input"),
    ("--checkpoint-out ./out.csv", "that of the output"),
    ("--on-bad-record dead_letter --dead-letters link.csv", "that of the input"),
    (
      "--checkpoint-out new --on-bad-record dead_letter --dead-letters new",
      "that of --checkpoint-out"
    ),
  ])
  func `a file that would replace another one of the command is refused`(
    options: String, says: String
  ) throws {
    let place = try Workplace()
    try place.write("in.csv", Array("a\n1\n2\n".utf8))
    _ = try place.shell("ln -s in.csv link.csv")
    let finished = try place.shell("$EVENKEEL normalize in.csv -o out.csv \(options)")
    #expect(finished.exitCode == 64)
    #expect(finished.errors.contains(says), "\(finished.errors)")
    #expect(try place.read("in.csv") == Array("a\n1\n2\n".utf8))
  }

  @Test func `an output that cannot be made is told by its own code`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel("normalize", weather, "-o", "none/out.csv")
    #expect(finished.exitCode == 73)
    #expect(finished.errors.contains("none/out.csv"))
  }

  @Test func `an unknown option is a mistake of usage`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel("normalize", weather, "--moed", "batch")
    #expect(finished.exitCode == 64)
    #expect(
      finished.errors == "evenkeel: --moed: unknown option; did you mean '--mode'?\n")
    let strange = try place.evenkeel("normalize", weather, "--strange")
    #expect(
      strange.errors
        == "evenkeel: --strange: unknown option; evenkeel normalize --help lists the options\n")
  }

  @Test func `every option that the documents name is one of a command`() throws {
    let place = try Workplace()
    let commands = [
      "normalize", "generate", "run", "check", "inspect", "export", "import", "learn", "top",
      "test",
    ]
    let help = try commands.map { command in
      String(decoding: try place.evenkeel(command, "--help").output, as: UTF8.self)
    }.joined()
    let option = /(?:^|[^\w\-])(--[a-z][a-z\-]+)/
    let known = Set(help.matches(of: option).map { String($0.output.1) })
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    // Options of other programs that the documents show.
    let foreign: Set = ["--now", "--no-pager"]
    for page in ["README.md", "docs/CONFIGURATION.md", "docs/SEMANTICS.md"] {
      let text = try String(contentsOf: root.appendingPathComponent(page), encoding: .utf8)
      let named = Set(text.matches(of: option).map { String($0.output.1) }).subtracting(foreign)
      #expect(named.subtracting(known).sorted() == [], "\(page)")
      #expect(page != "README.md" || named.count > 20)
    }
  }

  @Test(arguments: [("normalize", "--help"), ("help", "normalize")])
  func `help names the whole command line`(first: String, second: String) throws {
    let place = try Workplace()
    let finished = try place.evenkeel(first, second)
    #expect(finished.exitCode == 0)
    let help = String(decoding: finished.output, as: UTF8.self)
    #expect(help.contains("USAGE: evenkeel normalize "))
    for option in ["--batch-size <n>", "--no-header", "--columns <n>", "--output <path>"] {
      #expect(help.contains(option))
    }
    #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }
}
