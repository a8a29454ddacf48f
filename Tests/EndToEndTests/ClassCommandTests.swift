import Foundation
import TestSupport
import Testing

/// Streams with classes, by the real binary.
@Suite struct ClassCommandTests {
  private let place: Workplace

  /// 900 records in runs of one class, the classes far apart. Some have no value or no class, and 18 a third class.
  init() throws {
    place = try Workplace()
    let script = """
      awk 'BEGIN { srand(19)
        for (i = 0; i < 900; i++) { k = i < 600 ? 1 : 2
          x = rand() < 0.1 ? "" : sprintf("%.4f", 100 * k + rand())
          name = i % 50 == 3 ? "" : i % 50 == 9 ? "fog" : k == 1 ? "sun" : "rain"
          printf "%s,%s,%.4f,%s\\n", name, x, rand() * k, i } }' > rows
      (echo sky,x,y,note; cat rows) > all.csv
      """
    #expect(try place.shell(script).exitCode == 0)
  }

  @discardableResult
  private func normalize(_ options: String, exitCode: Int32 = 0) throws -> String {
    let run = try place.shell("$EVENKEEL normalize \(options)")
    #expect(run.exitCode == exitCode, "\(run.errors)")
    return run.errors
  }

  /// The rows of `inspect`, one a feature, without the count of clipped values.
  private func features(of checkpoint: String) throws -> [Substring] {
    let shown = try place.evenkeel("inspect", checkpoint)
    #expect(shown.exitCode == 0, "\(shown.errors)")
    let rows = String(decoding: shown.output, as: UTF8.self).split(separator: "\n").suffix(2)
    return rows.map { $0[..<($0.lastIndex(of: " ") ?? $0.startIndex)] }
      .map { Substring($0.filter { $0 != " " }) }
  }

  /// μ of a feature in a table of `inspect`.
  private func mean(of feature: String, _ arguments: String) throws -> Double {
    let shown = try place.shell("$EVENKEEL inspect \(arguments)")
    let rows = String(decoding: shown.output, as: UTF8.self).split(separator: "\n")
      .map {
        $0.split(separator: "  ", omittingEmptySubsequences: true).map { $0.filter { $0 != " " } }
      }
    let head = try #require(rows.first { $0.first == "feature" })
    let place = try #require(head.firstIndex(of: "μ"))
    let row = try #require(rows.first { $0.first == feature })
    return try #require(Double(row[place]))
  }

  @Test func `classes count by their priors, and not by how often they come`() throws {
    let options = "all.csv --features x,y --momentum cumulative"
    try normalize("\(options) -o plain.csv --checkpoint-out plain")
    let prior = "--weight-class sky --weight-prior sun=0.5,rain=0.5"
    let said = try normalize("\(options) \(prior) -o classed.csv --checkpoint-out classed")
    #expect(!said.contains("weight.class"), "\(said)")
    #expect(try abs(mean(of: "x", "plain") - 133.5) < 3)
    #expect(try abs(mean(of: "x", "classed") - 150.5) < 0.1)
    #expect(try abs(mean(of: "x", "classed --key sun") - 100.5) < 0.1)
    #expect(try abs(mean(of: "x", "classed --key rain") - 200.5) < 0.1)
    let shown = try place.evenkeel("inspect", "classed")
    let text = String(decoding: shown.output, as: UTF8.self)
    #expect(text.contains("class sky, class_prior sun=0.5,rain=0.5"), "\(text)")
    // The columns pass, those of the class too.
    let cut = "for f in all.csv classed.csv; do cut -d, -f1,4 $f | md5sum; done | uniq | wc -l"
    let same = try place.shell(cut)
    #expect(String(decoding: same.output, as: UTF8.self) == "1\n")
    // With `balanced` the third class counts as much as the others.
    try normalize("\(options) --weight-class sky -o balanced.csv --checkpoint-out balanced")
    #expect(try abs(mean(of: "x", "balanced") - (100.5 + 200.5 + 133.8) / 3) < 3)
    // A prior that names a class that no record has is told.
    let misspelt = try normalize(
      "\(options) --weight-class sky --weight-prior sun=1,rian=1 -o misspelt.csv")
    #expect(
      misspelt.contains(
        "weight.class: expected 'sun', 'rian' in column 'sky', found 1 of these classes and"),
      "\(misspelt)")
  }

  @Test func `CSV, NDJSON and Arrow with the same records give the same numbers`() throws {
    let json = """
      import csv, json
      with open("all.ndjson", "w") as out:
          for row in csv.DictReader(open("all.csv")):
              out.write(json.dumps({"at": {"sky": row["sky"]}, "y": float(row["y"])}) + "\\n")
      """
    try place.write("rows.py", json.utf8)
    #expect(try place.shell("python3 rows.py").exitCode == 0)
    let copy = "--features y --frozen --epsilon 1 --precision float64"
    try normalize("all.csv \(copy) -o copy.arrows")
    try normalize("all.csv \(copy) -o copy.csv")
    var found: [String: [UInt8]] = [:]
    for (name, column) in [
      ("all.csv", "sky"), ("all.ndjson", "at.sky"), ("copy.csv", "sky"), ("copy.arrows", "sky"),
    ] {
      try normalize(
        "\(name) --features y --weight-class \(column) --weight-prior rain=2,sun=1 --output-format csv "
          + "--output-columns y --precision float64 -o \(name).out.csv")
      found[name] = Array(try place.read("\(name).out.csv"))
    }
    #expect(found["all.csv"]?.lineCount == 901)
    #expect(found["all.ndjson"] == found["all.csv"])
    #expect(found["copy.arrows"] == found["copy.csv"])
  }

  @Test func `threads change nothing, a state goes on, and shards merge`() throws {
    let options =
      "--features x,y --weight-class sky --weight-prior sun=0.7,rain=0.3 --momentum cumulative"
    try normalize("all.csv \(options) --threads 1 -o one.csv --checkpoint-out one")
    try normalize("all.csv \(options) --threads 4 -o four.csv --checkpoint-out four")
    #expect(try place.read("one.csv") == place.read("four.csv"))
    #expect(try place.read("one") == place.read("four"))
    let split =
      "(echo sky,x,y,note; head -n 512 rows) > 1.csv; (echo sky,x,y,note; tail -n +513 rows) > 2.csv"
    #expect(try place.shell(split).exitCode == 0)
    try normalize("1.csv \(options) -o 1.out --checkpoint-out half")
    try normalize("2.csv \(options) -o 2.out --checkpoint-in half --checkpoint-out whole")
    let joined = try place.read("1.out") + place.read("2.out").drop { $0 != 10 }.dropFirst()
    #expect(joined == (try place.read("one.csv")))
    try normalize("2.csv \(options) -o 3.out --checkpoint-out second")
    let merged = try place.evenkeel("merge", "half", "second", "-o", "merged")
    #expect(merged.exitCode == 0, "\(merged.errors)")
    #expect(try features(of: "merged") == features(of: "whole"))
    // Other priors are other moments, and moments without classes are none.
    let other = try normalize(
      "2.csv \(options) --checkpoint-in half -o no.csv".replacing("0.3", with: "0.4"), exitCode: 78)
    #expect(other.contains("class_prior"), "\(other)")
    try normalize("1.csv --features x,y --momentum cumulative -o 4.out --checkpoint-out plain")
    let without = try normalize(
      "2.csv \(options) --checkpoint-in plain --on-mismatch match_by_name -o no.csv", exitCode: 78)
    #expect(without.contains("fit them with --weight-class"), "\(without)")
    // Frozen moments need no classes.
    try normalize("2.csv --features x,y --frozen --checkpoint-in half -o frozen.csv")
  }

  @Test(arguments: [
    ("--weight-class sky --mode renorm", "expected mode running, found renorm"),
    ("--weight-class sky --key note", "expected no keys beside it, found both"),
    ("--weight-prior balanced", "expected --weight-class NAME, found none"),
    ("--weight-class sky --weight-prior sun", "expected balanced, or classes with numbers such as"),
    (
      "--weight-class sky --weight-prior sun=1,sun=2", "expected each class once, found 'sun' twice"
    ),
    ("--weight-class sky --weight-prior sun=-1", "expected a share above 0 of class 'sun'"),
    ("--weight-class x", "expected a column that is no feature, found 'x', a feature"),
  ])
  func `options that classes cannot have are refused`(options: String, says: String) throws {
    let error = try normalize("all.csv --features x,y \(options) -o out.csv", exitCode: 64)
    #expect(error.contains(says), "\(error)")
    #expect(!place.files.contains("out.csv"))
  }

  @Test func `a daemon shows classes as keys, and goes on with them`() throws {
    let stream = """
      s:
        source: { follow: { path: all.csv } }
        format: csv
        features: [x, y]
        normalize: { weight: { class: sky, prior: { sun: 0.5, rain: 0.5 } } }
        batch: { size: 50, max_delay: 100ms }
        sink: { file: { path: out.csv } }
      """
    let daemon = try Daemon(in: place, stream)
    #expect(try eventually { try place.read("out.csv").lineCount == 901 }, "\(daemon.log)")
    func keys() throws -> [String: Any] {
      let answer = try daemon.ask("GET", "/api/v1/streams/s/keys")
      #expect(answer.status == 200)
      return try #require(
        JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
    }
    #expect(try eventually { try keys()["count"] as? Int == 2 })
    #expect(try keys()["unusable"] as? Int == 36)
    #expect(
      try daemon.ask("PUT", "/api/v1/streams/s/mode", "{\"mode\":\"batch\"}").status == 409)
    let forgotten = try daemon.ask("POST", "/api/v1/streams/s/reset_keys", "{\"keys\":[\"sun\"]}")
    #expect(forgotten.status == 200, "\(forgotten.body)")
    #expect(try keys()["count"] as? Int == 1)
    #expect(try daemon.stop().exitCode == 0)
    let again = try Daemon(in: place, stream)
    #expect(eventually { (try? again.status("keys", as: Int.self)) == 1 }, "\(again.log)")
    #expect(try again.stop().exitCode == 0)
  }
}
