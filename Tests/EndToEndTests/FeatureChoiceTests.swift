import Foundation
import TestSupport
import Testing

/// The choice of features by the real binary, and how it is told.
@Suite struct FeatureChoiceTests {
  private static let chosen =
    "day, hour, temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib"

  private func summary(_ line: some StringProtocol) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func `the sample is normalised without its year, its month and its texts`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel(
      "normalize", weather, "-o", "out.csv", "--checkpoint-out", "c", "--json-summary")
    #expect(finished.exitCode == 0)
    let lines = finished.errors.split(separator: "\n")
    try #require(lines.count == 3)
    #expect(lines[1].hasPrefix("evenkeel: warning: feature 'wind_gust': "))
    let line = """
      evenkeel: weather.csv.zst: features: \(Self.chosen); left out: origin, time_hour \
      (not numbers), year (a constant integer), month (integers that never fall); chosen by \
      1024 records; --features and --exclude choose otherwise
      """
    #expect(lines[0] == line)
    let told = try summary(lines[2])
    #expect(told["features"] as? [String] == Self.chosen.components(separatedBy: ", "))
    let leftOut = try #require(told["left_out"] as? [[String: String]])
    #expect(
      leftOut == [
        ["name": "origin", "reason": "not_numbers"], ["name": "year", "reason": "constant"],
        ["name": "month", "reason": "never_falls"], ["name": "time_hour", "reason": "not_numbers"],
      ])
    let inspected = String(decoding: try place.evenkeel("inspect", "c").output, as: UTF8.self)
    #expect(inspected.contains("left out: origin, time_hour (not numbers), year"))
    // A run from the checkpoint chooses alike, and says where its choice is from.
    let next = try place.evenkeel("normalize", weather, "-o", "2.csv", "--checkpoint-in", "c")
    #expect(next.exitCode == 0)
    #expect(next.errors.contains("features: \(Self.chosen); left out: origin"))
    #expect(next.errors.contains("as in the checkpoint\n"))
  }

  @Test func `a pipe chooses as a file of the same bytes does`() throws {
    let place = try Workplace()
    _ = try place.shell(
      "(echo '{\"n\":1,\"x\":null}'; for i in $(seq 2 3000); do "
        + "echo \"{\\\"n\\\":$i,\\\"x\\\":$((i % 7))}\"; done) > in.ndjson")
    _ = try place.evenkeel("normalize", "in.ndjson", "-o", "file.ndjson")
    _ = try place.shell(
      "(head -c 40 in.ndjson; sleep 0.3; tail -c +41 in.ndjson) | "
        + "$EVENKEEL normalize --format ndjson --no-compress > pipe.ndjson")
    #expect(try place.read("pipe.ndjson") == place.read("file.ndjson"))
    let last = String(decoding: try place.read("file.ndjson").suffix(40), as: UTF8.self)
    #expect(last.contains("{\"n\":3000,\"x\":"))
    #expect(!last.contains("\"x\":4}"))
  }

  @Test func `columns are excluded, by an option of their own and among the features`() throws {
    let place = try Workplace()
    let options = [
      "--exclude 'day,hour,wind_*'", "--features '!day,!hour,!wind_*'",
      "--features temp,dewp,humid,hour,precip,pressure,visib --exclude hour",
    ]
    for option in options {
      let finished = try place.shell(
        "$EVENKEEL normalize '\(weather)' -o out.csv --json-summary \(option)")
      #expect(finished.exitCode == 0, "\(finished.errors)")
      let told = try summary(try #require(finished.errors.split(separator: "\n").last))
      #expect(
        told["features"] as? [String]
          == ["temp", "dewp", "humid", "precip", "pressure", "visib"])
    }
    let typo = try place.evenkeel("normalize", weather, "-o", "out.csv", "--exclude", "yaer")
    #expect(typo.exitCode == 65)
    #expect(typo.errors.contains("'yaer' matches, found none among "))
    #expect(typo.errors.contains("; did you mean 'year'?"))
  }

  @Test func `named features are told in the summary alone`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel(
      "normalize", weather, "-o", "out.csv", "--features", "temp", "--json-summary")
    #expect(finished.errors.split(separator: "\n").count == 1)
    let told = try summary(finished.errors)
    #expect(told["features"] as? [String] == ["temp"])
    #expect((told["left_out"] as? [Any])?.isEmpty == true)
  }

  @Test func `the choice is one object of JSON in a log of JSON`() throws {
    let place = try Workplace()
    let finished = try place.evenkeel(
      "normalize", weather, "-o", "out.csv", "--log-format", "json")
    // Before the warning about wind_gust.
    let line = try summary(try #require(finished.errors.split(separator: "\n").first))
    #expect(line["level"] as? String == "info")
    #expect((line["message"] as? String)?.contains("year (a constant integer)") == true)
  }
}
