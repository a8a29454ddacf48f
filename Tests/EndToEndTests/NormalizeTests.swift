import Foundation
import Glibc
import TestSupport
import Testing

/// Pipes, and files by their names.
@Suite struct OutputEdgeTests {
  private static let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]

  @Test(arguments: [
    ("-o out.csv", false), ("-o out.csv.zst", true), ("-o out.csv --level 3", true),
    ("> out.csv", false), ("> out.csv.zst", true), ("> out.csv --level 3", true),
    ("| cat > out.csv", true),
    ("--no-compress | cat > out.csv", false),
  ])
  func `a file is compressed only where its name or the settings say so`(
    output: String, isCompressed: Bool
  ) throws {
    let place = try Workplace()
    let finished = try place.shell(
      "printf 'a,b\\n1,2\\n3,5\\n' > in.csv; $EVENKEEL normalize in.csv \(output)")
    #expect(finished.exitCode == 0, "\(finished.errors)")
    let name = try #require(place.files.first { $0.hasPrefix("out") })
    #expect(try place.read(name).starts(with: Self.magic) == isCompressed)
  }

  @Test func `records leave a pipe before their batch is full, with the numbers of a file`() throws
  {
    let place = try Workplace()
    let made = try place.shell(
      "$EVENKEEL generate --rows 600 --features 3 --no-compress > in.csv; "
        + "$EVENKEEL normalize in.csv -o file.csv")
    #expect(made.exitCode == 0, "\(made.errors)")
    // The producer waits until the first records have come out.
    let piped = try place.shell(
      """
      mkfifo in; $EVENKEEL normalize --format csv --features "f*" --no-compress < in > out.csv & exec 3> in
      head -n 301 in.csv >&3
      for i in $(seq 200); do [ $(wc -l < out.csv) -ge 301 ] && break; sleep 0.05; done
      wc -l < out.csv
      tail -n +302 in.csv >&3; exec 3>&-; wait
      """)
    #expect(String(decoding: piped.output, as: UTF8.self).contains("301"), "\(piped.errors)")
    #expect(try place.read("out.csv") == place.read("file.csv"))
  }

  @Test func `time cuts batches in a pipe only if asked for`() throws {
    let place = try Workplace()
    func batches(_ options: String) throws -> String {
      // The first records have come out, so the time to the cut runs.
      let finished = try place.shell(
        """
        : > out
        (
          printf 'a\\n1\\n2\\n'
          for i in $(seq 3000); do [ $(wc -l < out) -ge 3 ] && break; sleep 0.02; done
          sleep 0.2
          printf '3\\n4\\n'
        ) | $EVENKEEL normalize --format csv --features a --no-compress --json-summary \(options) > out
        """)
      return finished.errors
    }
    #expect(try batches("").contains("\"batches\":1,"))
    #expect(try batches("--max-delay 100ms").contains("\"batches\":2,"))
  }

  @Test func `an output keeps its permissions, and is written through a link`() throws {
    let place = try Workplace()
    let finished = try place.shell(
      """
      printf 'a,b\\n1,2\\n3,5\\n' > in.csv; touch real.csv; chmod 600 real.csv; ln -s real.csv out.csv
      $EVENKEEL normalize in.csv -o out.csv; stat -c '%a %F' real.csv out.csv; wc -l < real.csv
      """)
    #expect(
      String(decoding: finished.output, as: UTF8.self)
        == "600 regular file\n777 symbolic link\n3\n", "\(finished.errors)")
  }
}

/// The real binary on the real sample.
@Suite struct NormalizeTests {
  static let features = "temp,dewp,humid,wind_*,precip,pressure,visib"

  @Test func `the weather sample comes out with every record and every other byte`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel(
      "normalize", weather, "-o", "out.csv", "--features", Self.features, "--json-summary")
    #expect(finished.exitCode == 0)
    let told = finished.errors.split(separator: "\n")
    let summary = try #require(
      JSONSerialization.jsonObject(with: Data((told.last ?? "").utf8)) as? [String: Any])
    // Four fifths of its values are missing; nothing else is to be warned of.
    #expect(told.count == 2 && told[0].contains("feature 'wind_gust': "), "\(finished.errors)")
    #expect(summary["records"] as? Int == 26_115)
    #expect(summary["batches"] as? Int == 103)
    #expect(summary["bad_records"] as? Int == 0)
    let input = try place.shell("zstd -dc '\(weather)'")
    let before = lines(input.output)
    let after = lines(try place.read("out.csv"))
    #expect(after.count == before.count)
    #expect(after.first == before.first)
    for (old, new) in zip(before, after).dropFirst() {
      let (old, new) = (fields(old), fields(new))
      #expect(Array(old[..<5]) == Array(new[..<5]))
      #expect(old[14] == new[14])
      for column in 5..<14 { #expect((old[column] == "NA") == (new[column] == "NA")) }
    }
  }

  @Test func `batch mode gives every full batch mean 0 and deviation 1`() throws {
    let place = try Workplace()
    _ = try place.evenkeel(
      "normalize", weather, "-o", "out.csv", "--features", "temp,pressure", "--mode", "batch")
    let records = lines(try place.read("out.csv")).dropFirst().map { fields($0) }
    for start in stride(from: 0, to: records.count - 256, by: 256) {
      for column in [5, 12] {
        let values = records[start..<start + 256].compactMap { Double($0[column]) }
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        #expect(abs(mean) < 1e-5)
        #expect(abs(variance - 1) < 1e-4)
      }
    }
  }

  @Test func `output is compressed by its name and on a pipe, and not when told so`() throws {
    let place = try Workplace()
    let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
    let piped = try place.shell("$EVENKEEL normalize '\(weather)' | cat")
    #expect(Array(piped.output[..<4]) == magic)
    let plain = try place.evenkeel("normalize", weather, "--no-compress")
    #expect(String(decoding: plain.output[..<11], as: UTF8.self) == "origin,year")
    _ = try place.evenkeel("normalize", weather, "-o", "out.csv.zst")
    #expect(Array(try place.read("out.csv.zst")[..<4]) == magic)
    #expect(try place.shell("zstd -dcq out.csv.zst").output == plain.output)
  }

  @Test func `a second pass goes on from the checkpoint of the first`() throws {
    let place = try Workplace()
    let first = try place.evenkeel(
      "normalize", weather, "-o", "1.csv", "--features", Self.features, "--checkpoint-out", "c")
    let second = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--features", Self.features, "--checkpoint-in", "c",
      "--checkpoint-out", "d")
    #expect(first.exitCode == 0)
    #expect(second.exitCode == 0)
    let table = String(decoding: try place.evenkeel("inspect", "d").output, as: UTF8.self)
    #expect(table.hasPrefix("9 features, 206 batches"))
    #expect(table.contains("wind_gust   10 674"), "\(table)")
    #expect(try place.read("1.csv") != place.read("2.csv"))
  }

  @Test func `a checkpoint with other settings is refused with the difference`() throws {
    let place = try Workplace()
    _ = try place.evenkeel("normalize", weather, "-o", "1.csv", "--checkpoint-out", "c")
    let other = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--checkpoint-in", "c", "--preset", "keras")
    #expect(other.exitCode == 78)
    #expect(
      other.errors.contains("momentum: expected 0.01, found half_life 1700.0 records"),
      "\(other.errors)")
    #expect(place.files == ["1.csv", "c"])
    let reset = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--checkpoint-in", "c", "--preset", "keras",
      "--on-mismatch", "reset")
    #expect(reset.exitCode == 0)
  }

  @Test func `state goes out to other tools and comes back whole`() throws {
    let place = try Workplace()
    _ = try place.evenkeel("normalize", weather, "-o", "1.csv", "--checkpoint-out", "c")
    for command in [
      ["export", "c", "--to", "json", "-o", "c.json"],
      ["import", "c.json", "--from", "json", "-o", "d"],
      ["export", "d", "--to", "json", "-o", "d.json"],
      ["export", "c", "--to", "folded", "-o", "folded"],
      ["export", "c", "--to", "pytorch", "-o", "module"],
      ["import", "module", "--from", "pytorch", "--features", "a,b", "-o", "wrong"],
    ] {
      let finished = try place.start([binary] + command, input: nil).wait()
      #expect(finished.exitCode == (command.last == "wrong" ? 65 : 0), "\(command)")
    }
    #expect(try place.read("c.json") == place.read("d.json"))
    let json = try JSONSerialization.jsonObject(with: Data(place.read("c.json")))
    #expect(json is [String: Any])
    #expect(try place.evenkeel("inspect", "--json", "c").output == place.read("c.json"))
  }

  @Test func `dead letters hold the bad records and the rest goes through`() throws {
    let place = try Workplace()
    try place.write("in.csv", "a,b\n1,2\nx,3\n4,5\n6\n7,8\n".utf8)
    let finished = try place.evenkeel(
      "normalize", "in.csv", "-o", "out.csv", "--features", "a,b",
      "--on-bad-record", "dead_letter", "--dead-letters", "dead.ndjson", "--json-summary")
    #expect(finished.exitCode == 0)
    #expect(finished.errors.contains("\"bad_records\":2"))
    #expect(lines(try place.read("out.csv")).count == 4)
    let letters = try lines(place.read("dead.ndjson")).map { line in
      try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
    }
    #expect(letters.map { $0["text"] as? String } == ["x,3\n", "6\n"])
    #expect(letters.map { $0["record"] as? Int } == [2, 4])
    #expect(letters.map { $0["byte_offset"] as? Int } == [8, 16])
  }

  @Test func `an interrupted run on a file leaves no output`() throws {
    let place = try Workplace()
    let generated = try place.evenkeel(
      "generate", "--rows", "200000", "--features", "8", "-o", "in.csv.zst")
    #expect(generated.exitCode == 0)
    let running = try place.start(
      [binary, "normalize", "in.csv.zst", "-o", "out.csv.zst", "--level", "15"], input: nil)
    // The file is made after the signals are caught, and before the first record is read.
    #expect(eventually { place.files.contains { $0.hasPrefix(".evenkeel-") } })
    running.signal(SIGINT)
    let finished = try running.wait()
    #expect(finished.exitCode == 130)
    #expect(finished.errors.contains("interrupted"))
    #expect(place.files == ["in.csv.zst"])
  }

  @Test func `an interrupted run on a pipe emits what was read`() throws {
    let place = try Workplace()
    #expect(mkfifo(place.path("in"), 0o600) == 0)
    // Open at both ends, so that the input has no end.
    let pipe = open(place.path("in"), O_RDWR)
    defer { close(pipe) }
    let text = "a,b\n1,2\n3,4\n"
    #expect(write(pipe, text, text.utf8.count) == text.utf8.count)
    let running = try place.start(
      [binary, "normalize", "--format", "csv", "-o", "out.csv", "--checkpoint-out", "c"],
      input: "in")
    #expect(
      eventually {
        var unread: CInt = 0
        return ioctl(pipe, UInt(FIONREAD), &unread) == 0 && unread == 0
      })
    running.signal(SIGTERM)
    let finished = try running.wait()
    #expect(finished.exitCode == 0)
    #expect(lines(try place.read("out.csv")).count == 3)
    #expect(place.files == ["c", "in", "out.csv"])
  }

  @Test func `memory does not grow with the length of the input`() throws {
    let place = try Workplace()
    // 32 features of 4 bytes; 1 GB in full.
    let rows = runsFullDose ? 8_000_000 : 30_000
    for (format, options) in [("raw", "--columns 32"), ("csv", "")] {
      let finished = try place.shell(
        """
        $EVENKEEL generate --rows \(rows) --features 32 --format \(format) \
          | $MEASURED normalize --format \(format) \(options) -o /dev/null
        """)
      #expect(finished.exitCode == 0, "\(finished.errors)")
      let peak = try place.peakMemory()
      #expect(peak < 128 << 20, "\(format): \(peak >> 20) MiB")
    }
  }

  @Test func `generate writes what the name of its output tells, or refuses it`() throws {
    let place = try Workplace()
    let made = try place.evenkeel("generate", "--rows", "6", "--features", "2", "-o", "out.f64")
    #expect(try made.exitCode == 0 && place.read("out.f64").count == 6 * 2 * 8)
    for (arguments, says) in [
      (
        "-o out.arrow",
        "--output: expected a file of csv, ndjson, raw, found the name of one of arrow"
      ),
      ("-o out.tsv", "--output: expected another name"),
      ("-o out.csv --format ndjson", "--output: expected "),
      (
        "--features 2 --changes bias@5:f9", "feature of change bias: expected an index below 2"
      ),
    ] {
      let refused = try place.shell("\"$EVENKEEL\" generate " + arguments)
      #expect(refused.exitCode == 64 && refused.output.isEmpty, "\(arguments)")
      #expect(refused.errors.hasPrefix("evenkeel: \(says)"), "\(refused.errors)")
    }
    #expect(place.files == ["out.f64"])
  }

  @Test func `generate gives the same bytes for the same seed`() throws {
    let place = try Workplace()
    for format in ["csv", "ndjson", "raw"] {
      let runs = try [7, 7, 8].map { seed in
        try place.shell(
          "$EVENKEEL generate --rows 1000 --seed \(seed) --format \(format) --no-compress")
      }
      #expect(!runs[0].output.isEmpty)
      #expect(runs[0].output == runs[1].output)
      #expect(runs[0].output != runs[2].output)
    }
  }

  @Test func `a process that may run on one core encodes one unit at once`() throws {
    let place = try Workplace()
    let help = try place.shell(
      #"""
      core=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
      taskset -c $core $EVENKEEL normalize --help
      """#)
    let words = String(decoding: help.output, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    let option = try #require(words.firstIndex(of: "--threads"))
    let label = try #require(words[option...].firstIndex(of: "default:"))
    #expect(words[label + 1] == "1)")
  }

  private func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    bytes.split(separator: UInt8(ascii: "\n"))
  }

  private func fields(_ line: ArraySlice<UInt8>) -> [String] {
    line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
