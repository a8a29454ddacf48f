import Foundation
import TestSupport
import Testing

/// Input that is made to exhaust its reader is refused early, with its place, in little memory.
@Suite struct HostileInputTests {
  private static let mostBytes = 96 << 20

  /// Runs a command that ends in `$MEASURED normalize …`, and expects how it is refused.
  private func expect(
    _ command: String, exitCode: Int32 = 65, isRefusedWith words: String, in place: Workplace
  ) throws {
    let before = place.files
    let finished = try place.shell(command)
    #expect(finished.exitCode == exitCode, "\(finished.errors)")
    #expect(finished.errors.contains(words), "\(finished.errors)")
    #expect(finished.errors.lineCount == 1, "\(finished.errors)")
    #expect(try place.peakMemory() < Self.mostBytes)
    #expect(try place.processorSeconds() < 30)
    #expect(place.files == before)
  }

  @Test func `a record of ten megabytes of zeros from a few hundred bytes is a bomb`() throws {
    let place = try Workplace()
    let made = try place.shell(
      """
      (printf 'a,k\\n1,x\\n2,'; head -c 10485760 /dev/zero; echo) | zstd -19 -q > bomb.csv.zst
      (printf 'a,k\\n1,x\\n2,'; head -c 10485760 /dev/urandom | base64 -w 0; echo) \
        | zstd -q > large.csv.zst
      """)
    #expect(made.exitCode == 0)
    #expect(try place.read("bomb.csv.zst").count < 1500)
    try expect(
      "$MEASURED normalize bomb.csv.zst --features a -o out.csv",
      isRefusedWith: "bomb.csv.zst: record 2, byte 8: expected a record of at most 1000 times its "
        + "compressed bytes, found ", in: place)
    // Neither a record that is large by itself, nor the bomb where it is asked for, is refused.
    let large = try place.evenkeel(
      "normalize", "large.csv.zst", "--features", "a", "-o", "out.csv")
    #expect(large.exitCode == 0, "\(large.errors)")
    let asked = try place.evenkeel(
      "normalize", "bomb.csv.zst", "--features", "a", "--max-growth", "1000000", "-o", "out.csv")
    #expect(asked.exitCode == 0, "\(asked.errors)")
  }

  @Test func `many small records that compress well are no bomb`() throws {
    let place = try Workplace()
    let finished = try place.shell(
      "(echo a,k; yes 1,x | head -n 2000000) | zstd -19 -q | $EVENKEEL normalize --format csv -o out.csv"
    )
    #expect(finished.exitCode == 0, "\(finished.errors)")
  }

  @Test func `a frame with a window of four gigabytes is refused before it is allocated`() throws {
    let place = try Workplace()
    // Magic number, descriptor without sizes, and a window of 2^32 bytes (RFC 8878, 3.1.1.1.2).
    try place.write("in.csv.zst", [0x28, 0xB5, 0x2F, 0xFD, 0x00, (32 - 10) << 3, 0x01, 0x00, 0x00])
    try expect(
      "$MEASURED normalize in.csv.zst -o out.csv",
      isRefusedWith: "in.csv.zst: frame at byte 0 of the input: expected ", in: place)
    try expect(
      "$MEASURED normalize in.csv.zst --long 31 -o out.csv",
      isRefusedWith: "in.csv.zst: frame at byte 0 of the input: expected ", in: place)
  }

  @Test func `a header of a billion columns is refused as it comes`() throws {
    let place = try Workplace()
    try expect(
      "yes abc | head -n 1000000000 | tr '\\n' , 2>/dev/null | $MEASURED normalize --format csv -o out.csv",
      isRefusedWith: "stdin: record 1, byte 0: expected a record of at most 16777216 bytes",
      in: place)
  }

  @Test func `more columns than the limit are refused though their line is short enough`() throws {
    let place = try Workplace()
    try expect(
      "(yes a | head -n 200000 | paste -sd ,; yes 1 | head -n 200000 | paste -sd ,) "
        + "| $MEASURED normalize --format csv -o out.csv",
      isRefusedWith: "stdin: record 1, byte 0: expected at most 100000 fields, found more",
      in: place)
    let asked = try place.shell(
      "(yes a | head -n 9 | paste -sd ,; yes 1 | head -n 9 | paste -sd ,) "
        + "| $EVENKEEL normalize --format csv --max-fields 8 -o out.csv")
    #expect(asked.exitCode == 65 && asked.errors.contains("at most 8 fields"), "\(asked.errors)")
  }

  @Test(arguments: ["[", "{\"a\":"])
  func `JSON nested a hundred thousand deep is refused`(opener: String) throws {
    let place = try Workplace()
    try place.write(
      "in.ndjson", ("{\"x\":1}\n{\"x\":1,\"y\":" + String(repeating: opener, count: 100_000)).utf8)
    try expect(
      "$MEASURED normalize in.ndjson -o out.ndjson",
      isRefusedWith: "in.ndjson: record 2, byte 8: expected ", in: place)
    try expect(
      "$MEASURED normalize in.ndjson --max-depth 1025 -o out.ndjson", exitCode: 64,
      isRefusedWith: "--max-depth: expected a whole number from 1 to 1024, found '1025'", in: place)
    // As the first record, where the features are looked for.
    try place.write("in.ndjson", ("{\"y\":" + String(repeating: opener, count: 100_000)).utf8)
    try expect(
      "$MEASURED normalize in.ndjson -o out.ndjson", isRefusedWith: "in.ndjson: ", in: place)
  }
}
