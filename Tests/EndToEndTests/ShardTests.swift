import Foundation
import TestSupport
import Testing

/// Several inputs as one stream, checkpoints without output, and merged checkpoints.
@Suite struct ShardTests {
  private let place: Workplace
  private static let exact = "--momentum cumulative --estimator total --features x,y"

  init() throws {
    place = try Workplace()
    let script =
      "awk 'BEGIN { srand(7); for (i = 0; i < 900; i++) printf \"%s,%.6f,%.6f\\n\", i, rand() * 9 + i / 99, "
      + "rand() }' > rows; (echo id,x,y; cat rows) > all.csv; (echo id,x,y; head -n 300 rows) > 1.csv; "
      + "(echo id,x,y; sed -n 301,500p rows) > 2.csv; (echo id,x,y; tail -n 400 rows) > 3.csv"
    #expect(try place.shell(script).exitCode == 0)
  }

  private func features(_ checkpoint: String) throws -> [[String: [String: Double]]] {
    let text = Data(try place.evenkeel("inspect", "--json", checkpoint).output)
    let all = try #require(JSONSerialization.jsonObject(with: text) as? [String: Any])
    return try #require(all["features"] as? [[String: Any]]).map {
      $0.compactMapValues { $0 as? [String: Double] }
    }
  }

  @Test func `files with only a header may come before the first record`() throws {
    let place = try Workplace()
    try place.write("empty.csv", "a,b\n".utf8)
    try place.write("bare.csv", "a,b".utf8)
    try place.write("data.csv", "a,b\n1,x\n2.5,y\n".utf8)
    try place.write("other.csv", "b,a\n".utf8)
    let alone = try place.evenkeel("normalize", "data.csv", "-o", "alone.csv")
    #expect(alone.exitCode == 0, "\(alone.errors)")
    for files in ["empty.csv", "bare.csv empty.csv"] {
      let joined = try place.shell("$EVENKEEL normalize \(files) data.csv -o out.csv")
      #expect(joined.exitCode == 0, "\(joined.errors)")
      #expect(try place.read("out.csv") == place.read("alone.csv"))
    }
    let fitted = try place.evenkeel("fit", "empty.csv", "data.csv", "-o", "state")
    #expect(fitted.exitCode == 0, "\(fitted.errors)")
    let none = try place.evenkeel("normalize", "empty.csv", "bare.csv", "-o", "none.csv")
    #expect(none.exitCode == 65)
    #expect(none.errors.contains("expected a record after the header"), "\(none.errors)")
    let other = try place.evenkeel("normalize", "other.csv", "data.csv", "-o", "none.csv")
    #expect(other.exitCode == 65)
    #expect(other.errors.contains("found them in another order: 'b', 'a'\n"), "\(other.errors)")
  }

  @Test func `frozen moments that nothing gives are warned of`() throws {
    let place = try Workplace()
    try place.write("a.csv", "a\n10\n20.5\n".utf8)
    let run = try place.evenkeel("normalize", "a.csv", "-o", "out.csv", "--frozen")
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(run.errors.contains("no checkpoint gives them"), "\(run.errors)")
    #expect(run.errors.contains("--checkpoint-in"), "\(run.errors)")
    #expect(try place.evenkeel("fit", "a.csv", "-o", "state").exitCode == 0)
    let given = try place.evenkeel(
      "normalize", "a.csv", "-o", "out.csv", "--frozen", "--checkpoint-in", "state")
    #expect(!given.errors.contains("no checkpoint gives them"), "\(given.errors)")
  }

  @Test func `several files come out as one, header and all`() throws {
    let one = try place.evenkeel("normalize", "all.csv", "-o", "one.csv")
    let many = try place.shell(
      "$EVENKEEL normalize 1.csv 2.csv 3.csv -o many.csv --checkpoint-out c --json-summary")
    #expect(one.exitCode == 0 && many.exitCode == 0, "\(many.errors)")
    #expect(try place.read("one.csv") == place.read("many.csv"))
    #expect(many.errors.contains("\"records\":900"))
    #expect(many.errors.hasPrefix("evenkeel: 3 inputs: features: x, y; left out: id"))
  }

  @Test func `a last line without an end is ended before the next file`() throws {
    try place.write("a.csv", "a,b\n1,x\n2,y".utf8)
    try place.write("b.csv", "a,b\n3,z\n".utf8)
    let joined = try place.evenkeel("normalize", "a.csv", "b.csv", "-o", "out.csv")
    #expect(joined.exitCode == 0)
    let text = String(decoding: try place.read("out.csv"), as: UTF8.self)
    let keys = text.split(separator: "\n").map { $0.split(separator: ",").last ?? "" }
    #expect(keys == ["b", "x", "y", "z"])
  }

  @Test func `a file that does not fit is refused by its name`() throws {
    try place.write("other.csv", "id,x,z\n1,2,3\n".utf8)
    let columns = try place.evenkeel("normalize", "1.csv", "other.csv", "-o", "out.csv")
    #expect(columns.exitCode == 65)
    #expect(columns.errors.contains("other.csv"))
    try place.write("bad.csv", "id,x,y\n1,2,3\n2,k,4\n".utf8)
    let bad = try place.evenkeel("normalize", "1.csv", "bad.csv", "-o", "out.csv")
    #expect(bad.exitCode == 65)
    #expect(bad.errors.contains("bad.csv: record 2, byte 13: expected a number in feature 'x'"))
    let missing = try place.evenkeel("normalize", "1.csv", "none.csv", "-o", "out.csv")
    #expect(missing.exitCode == 66)
    #expect(missing.errors.contains("none.csv"))
    try place.write("x.ndjson", "{\"x\":1}\n".utf8)
    let format = try place.evenkeel("normalize", "1.csv", "x.ndjson", "-o", "out.csv")
    #expect(format.exitCode == 64)
    #expect(!place.files.contains("out.csv"))
  }

  @Test func `fit writes the checkpoint that normalize would, and nothing else`() throws {
    let fitted = try place.shell("$EVENKEEL fit all.csv -o fitted \(Self.exact)")
    #expect(fitted.exitCode == 0 && fitted.output.isEmpty)
    _ = try place.shell("$EVENKEEL normalize all.csv -o o.csv --checkpoint-out other \(Self.exact)")
    #expect(try features("fitted") == features("other"))
    let applied = try place.shell(
      "$EVENKEEL normalize 3.csv -o p.csv --checkpoint-in fitted --frozen \(Self.exact)")
    #expect(applied.exitCode == 0)
    let without = try place.evenkeel("fit", "all.csv")
    #expect(without.exitCode == 64 && without.errors.contains("--output"))
  }

  @Test func `shards merge to the state of one run, and the command says how exactly`() throws {
    for shard in 1...3 {
      _ = try place.shell("$EVENKEEL fit \(shard).csv -o s\(shard) \(Self.exact)")
      _ = try place.shell("$EVENKEEL fit \(shard).csv -o d\(shard) --features x,y")
    }
    _ = try place.shell("$EVENKEEL fit all.csv -o whole \(Self.exact)")
    let merged = try place.evenkeel("merge", "s3", "s1", "s2", "-o", "merged")
    #expect(merged.exitCode == 0)
    #expect(String(decoding: merged.output, as: UTF8.self).contains("exact, as of one run"))
    for (one, other) in zip(try features("merged"), try features("whole")) {
      for key in ["mean", "variance", "weight"] {
        let (a, b) = (one["moments"]?[key] ?? .nan, other["moments"]?[key] ?? .nan)
        #expect(abs(a - b) <= 1e-12 * abs(b), "\(key)")
      }
    }
    let pooled = try place.evenkeel("merge", "d1", "d2", "-o", "pooled")
    #expect(pooled.exitCode == 0)
    #expect(String(decoding: pooled.output, as: UTF8.self).contains("an estimate"))
  }

  @Test func `checkpoints that do not fit together are not merged`() throws {
    _ = try place.shell("$EVENKEEL fit 1.csv -o a --features x,y")
    _ = try place.shell("$EVENKEEL fit 2.csv -o b --features x")
    _ = try place.shell("$EVENKEEL fit 2.csv -o c --features x,y --momentum 0.2")
    let features = try place.evenkeel("merge", "a", "b", "-o", "m")
    #expect(features.exitCode == 65 && features.errors.contains("b: "))
    let settings = try place.evenkeel("merge", "a", "c", "-o", "m")
    #expect(settings.exitCode == 65 && settings.errors.contains("momentum"))
    #expect(try place.evenkeel("merge", "a", "-o", "m").exitCode == 64)
    #expect(!place.files.contains("m"))
  }
}
