import Foundation
import TestSupport
import Testing

/// The versions and the columns of the output, on the command line and in a configuration file.
@Suite struct OutputEditTests {
  @Test func `records tell the versions, and have the chosen columns`() throws {
    let place = try Workplace()
    try place.write("in.csv", "id,a,note\nx,1,\"p,q\"\ny,3,\nz,5,r\n".utf8)
    try place.write("in.ndjson", "{\"id\":\"x\",\"a\":1}\n{\"a\":3,\"id\":\"y\"}\n".utf8)
    let finished = try place.shell(
      """
      $EVENKEEL normalize in.csv -o out.csv --features a --batch-size 2 --frozen \
        --stamp run --output-columns note,id
      $EVENKEEL normalize in.ndjson -o out.ndjson --features a --frozen --stamp run --output-columns '!a'
      $EVENKEEL normalize in.ndjson -o out2.csv --output-format csv --features a --stamp run --batch-size 1
      cut -d , -f 2- out2.csv
      """)
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(
      String(decoding: try place.read("out.csv"), as: UTF8.self)
        == "note,id,run.state_version,run.parameters_version\n\"p,q\",x,0,0\n,y,0,0\nr,z,0,0\n")
    let stamp = #""run":{"state_version":0,"parameters_version":0}"#
    #expect(
      String(decoding: try place.read("out.ndjson"), as: UTF8.self)
        == #"{"id":"x",\#(stamp)}"# + "\n" + #"{"id":"y",\#(stamp)}"# + "\n")
    #expect(
      String(decoding: finished.output, as: UTF8.self)
        == "run.state_version,run.parameters_version\n0,0\n1,0\n")
  }

  @Test(arguments: [
    (
      "in.csv --stamp a", 78,
      "in.csv: output.stamp: expected a name that the output does not have yet, found column 'a.state_version'"
    ),
    ("in.ndjson --stamp id", 65, "record 1, byte 0: expected a record without member 'id'"),
    (
      "in.csv --output-columns a,ib", 78,
      "output.columns: expected a column that 'ib' matches, found none among 'id', 'a', 'a.state_version'"
    ),
    ("in.ndjson --output-columns ix", 65, "expected a member 'ix', which output.columns names"),
    (
      "in.csv --output-columns a,a", 64,
      "--output-columns: expected names that differ, found 'a' twice"
    ),
    (
      "in.csv --output-columns=", 64,
      "--output-columns: expected names separated by commas, or no such"
    ),
    (
      "in.csv --output-format raw --stamp x", 64,
      "--stamp: expected output of format csv, ndjson or arrow"
    ),
    (
      "in.csv --output-format raw --output-columns a", 64,
      "--output-columns: expected output of format csv, ndjson or arrow, found raw"
    ),
  ])
  func `names that cannot be are refused in one line`(
    arguments: String, exitCode: Int, line: String
  ) throws {
    let place = try Workplace()
    try place.write("in.csv", "id,a,a.state_version\nx,1,2\ny,3,4\n".utf8)
    try place.write("in.ndjson", "{\"id\":\"x\",\"a\":1}\n".utf8)
    let finished = try place.shell("$EVENKEEL normalize --features a -o out \(arguments)")
    #expect(Int(finished.exitCode) == exitCode)
    #expect(finished.errors.contains(line), "\(finished.errors)")
    #expect(finished.errors.lineCount == 1)
    #expect(!place.files.contains("out"))
  }

  @Test func `a configuration file has both settings`() throws {
    let place = try Workplace()
    try place.write("in.csv", "id,a\nx,1\n".utf8)
    func check(_ output: String) throws -> Finished {
      try place.write(
        "evenkeel.yaml",
        """
        state_directory: \(place.path("state"))
        streams:
          s:
            format: csv
            source: { file: { path: \(place.path("in.csv")) } }
            sink: { file: { path: \(place.path("out")) } }
            output: { \(output) }
        """.utf8)
      return try place.evenkeel("check", "--config", place.path("evenkeel.yaml"))
    }
    let good = try check("stamp: run, columns: [a, id]")
    #expect(good.exitCode == 0, "\(good.errors)")
    let raw = try check("format: raw, stamp: run, columns: [a]")
    #expect(raw.exitCode == 78)
    #expect(raw.errors.contains("stamp: expected output of format csv, ndjson or arrow, found raw"))
    #expect(
      raw.errors.contains("columns: expected output of format csv, ndjson or arrow, found raw"))
  }
}
