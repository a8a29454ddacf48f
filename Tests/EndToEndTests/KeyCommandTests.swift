import Foundation
import TestSupport
import Testing

/// Streams with keys, by the real binary.
@Suite struct KeyCommandTests {
  private let place: Workplace

  /// 900 records of three sites, one after another and far apart, some of them without a value or a site.
  init() throws {
    place = try Workplace()
    let script = """
      awk 'BEGIN { srand(18); split("JFK,EWR,LGA", site, ",")
        for (i = 0; i < 900; i++) { k = i % 7 == 0 ? 2 : 1 + int(i / 300)
          x = rand() < 0.1 ? "" : sprintf("%.4f", 100 * k + rand())
          printf "%s,%s,%.4f,%s\\n", i % 50 == 3 ? "" : site[k], x, rand() * k, i } }' > rows
      (echo site,x,y,note; cat rows) > all.csv
      """
    #expect(try place.shell(script).exitCode == 0)
  }

  @discardableResult
  private func normalize(_ options: String, exitCode: Int32 = 0) throws -> String {
    let run = try place.shell("$EVENKEEL normalize \(options)")
    #expect(run.exitCode == exitCode, "\(run.errors)")
    return run.errors
  }

  private func columns(_ file: String) throws -> [[Substring]] {
    String(decoding: try place.read(file), as: UTF8.self).split(separator: "\n")
      .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
  }

  @Test func `each site is brought to mean 0, and the other columns pass`() throws {
    try normalize("all.csv --features x,y --momentum cumulative -o plain.csv")
    try normalize(
      "all.csv --features x,y --momentum cumulative --key site --key-prior 1 -o keyed.csv --checkpoint-out c"
    )
    let (input, plain, keyed) = (
      try columns("all.csv"), try columns("plain.csv"), try columns("keyed.csv")
    )
    #expect(
      keyed.map { $0[0] } == input.map { $0[0] } && keyed.map { $0[3] } == input.map { $0[3] })
    // The last site is 100 above the one before: far from the mean of all, and at that of its own.
    func mean(_ rows: [[Substring]]) -> Double {
      let values = rows.suffix(200).filter { $0[0] == "LGA" }.compactMap { Double($0[1]) }
      return values.reduce(0, +) / Double(values.count)
    }
    #expect(
      mean(plain) > 0.8 && abs(mean(keyed)) < mean(plain) / 2, "\(mean(plain)), \(mean(keyed))")
    let shown = try place.evenkeel("inspect", "c", "--key", "LGA")
    let rows = String(decoding: shown.output, as: UTF8.self).split(separator: "\n")
    #expect(rows.first?.hasPrefix("key LGA, last in record 90") == true, "\(rows)")
    let x = try #require(rows.first { $0.hasPrefix("x ") }).split(separator: " ")
    #expect(x[2].hasPrefix("300."), "\(x)")
    #expect(
      String(decoding: try place.evenkeel("inspect", "c").output, as: UTF8.self).contains(
        ", 3 keys"))
    let none = try place.evenkeel("inspect", "c", "--key", "SWF")
    #expect(none.exitCode == 65 && none.errors.contains("expected one 'SWF'"), "\(none.errors)")
  }

  @Test func `CSV, NDJSON and Arrow with the same records give the same numbers`() throws {
    let json = """
      import csv, json
      with open("all.ndjson", "w") as out:
          for row in csv.DictReader(open("all.csv")):
              out.write(json.dumps({"at": {"site": row["site"]}, "y": float(row["y"])}) + "\\n")
      """
    try place.write("rows.py", json.utf8)
    #expect(try place.shell("python3 rows.py").exitCode == 0)
    // Into Arrow by way of a transform that loses nothing.
    let copy = "--features y --frozen --epsilon 1 --precision float64"
    try normalize("all.csv \(copy) -o copy.arrows")
    try normalize("all.csv \(copy) -o copy.csv")
    for (name, key) in [
      ("all.csv", "site"), ("all.ndjson", "at.site"), ("copy.csv", "site"), ("copy.arrows", "site"),
    ] {
      try normalize(
        "\(name) --features y --key \(key) --output-format csv --precision float64 -o \(name).out.csv"
      )
    }
    func y(_ file: String) throws -> [Substring] {
      let rows = try columns(file)
      let place = try #require(rows[0].firstIndex(of: "y"))
      return rows.map { $0[place] }
    }
    #expect(try y("all.csv.out.csv").count == 901)
    #expect(try y("all.ndjson.out.csv") == y("all.csv.out.csv"))
    #expect(try y("copy.arrows.out.csv") == y("copy.csv.out.csv"))
    // A path that no record has is told.
    let error = try normalize("all.ndjson --features y --key site -o none.ndjson")
    #expect(error.contains("key.columns: expected values"), "\(error)")
  }

  @Test func `threads change nothing, a state goes on, and shards merge`() throws {
    let options = "--features x,y --key site --momentum cumulative"
    try normalize("all.csv \(options) --threads 1 -o one.csv --checkpoint-out one")
    try normalize("all.csv \(options) --threads 4 -o four.csv --checkpoint-out four")
    #expect(try place.read("one.csv") == place.read("four.csv"))
    #expect(try place.read("one") == place.read("four"))
    let split =
      "(echo site,x,y,note; head -n 512 rows) > 1.csv; (echo site,x,y,note; tail -n +513 rows) > 2.csv"
    #expect(try place.shell(split).exitCode == 0)
    try normalize("1.csv \(options) -o 1.out --checkpoint-out half")
    try normalize("2.csv \(options) -o 2.out --checkpoint-in half --checkpoint-out whole")
    let joined = try place.read("1.out") + place.read("2.out").drop { $0 != 10 }.dropFirst()
    #expect(joined == (try place.read("one.csv")))
    try normalize("2.csv \(options) -o 3.out --checkpoint-out second")
    let merged = try place.evenkeel("merge", "half", "second", "-o", "merged")
    #expect(merged.exitCode == 0, "\(merged.errors)")
    func table(_ checkpoint: String) throws -> [String] {
      let shown = try place.evenkeel("inspect", checkpoint, "--key", "EWR")
      return String(decoding: shown.output, as: UTF8.self).split(separator: "\n").dropFirst()
        .map(String.init)
    }
    #expect(try table("merged") == table("whole"))
    // A run that only applies the moments tells their key too.
    try normalize("2.csv \(options) --frozen --checkpoint-in half -o f.out --checkpoint-out frozen")
    let shown = try place.evenkeel("inspect", "frozen")
    #expect(String(decoding: shown.output, as: UTF8.self).contains("key site, "), "\(shown)")
    // Another key, or none, is another state.
    for other in [
      "--features x,y --momentum cumulative --key note", "--features x,y --momentum cumulative",
    ] {
      let refused = try normalize("2.csv \(other) --checkpoint-in half -o no.csv", exitCode: 78)
      #expect(refused.contains("key"), "\(refused)")
    }
  }

  @Test func `a misspelt path is told after 1,000 records, and a short run tells it at its end`()
    throws
  {
    let script = """
      awk 'BEGIN { for (i = 0; i < 3000; i++) printf "{\\"at\\":{\\"site\\":\\"a\\"},\\"y\\":%s}\\n", i }' > many
      head -n 900 many > few
      """
    #expect(try place.shell(script).exitCode == 0)
    for (name, times) in [("few", "900"), ("many", "1024")] {
      let said = try normalize("\(name) --format ndjson --features y --key at.sit -o out.ndjson")
      let lines = said.split(separator: "\n").filter { $0.contains("key.columns: expected values") }
      #expect(lines.count == 1 && lines[0].contains("found none in \(times) records"), "\(said)")
    }
    let right = try normalize("many --format ndjson --features y --key at.site -o out.ndjson")
    #expect(!right.contains("key.columns"), "\(right)")
    let none = try normalize(
      "many --format ndjson --features y --weight-class at.site --weight-prior b=1 -o out.ndjson")
    #expect(none.contains("weight.class: expected 'b' in column 'at.site', found 0"), "\(none)")
  }

  @Test func `at most so many keys are kept`() throws {
    try normalize("all.csv --features x,y --key note --key-max 50 -o out.csv --checkpoint-out c")
    let shown = String(decoding: try place.evenkeel("inspect", "c").output, as: UTF8.self)
    #expect(shown.contains(", 50 keys"), "\(shown)")
    let newest = try place.evenkeel("inspect", "c", "--key", "899")
    #expect(newest.exitCode == 0)
  }

  @Test(arguments: [
    ("--key site --mode renorm", "expected mode running, found renorm"),
    ("--key site --momentum 0.1", "found momentum 0.1: it weighs batches"),
    ("--key site --preset keras", "--key: expected"),
    ("--key x", "expected a column that is no feature, found 'x', a feature"),
    ("--key site,site", "expected 1 to 8 columns, each once"),
    ("--key-max 5", "expected --key COLUMNS, found none"),
    ("--key site --key-idle 1h", "expected --time-column NAME, found none"),
  ])
  func `settings that keys cannot have are refused`(options: String, says: String) throws {
    let error = try normalize("all.csv --features x,y \(options) -o out.csv", exitCode: 64)
    #expect(error.contains(says), "\(error)")
    #expect(!place.files.contains("out.csv"))
  }

  @Test func `a daemon shows keys, forgets some, and counts them`() throws {
    let daemon = try Daemon(
      in: place,
      Self.stream + """

        p:
          source: { follow: { path: all.csv } }
          format: csv
          features: [x, y]
          sink: { file: { path: p.csv } }
        """)
    func keys(_ query: String = "") throws -> [String: Any] {
      let answer = try daemon.ask("GET", "/api/v1/streams/s/keys\(query)")
      #expect(answer.status == 200)
      return try #require(
        JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
    }
    #expect(try eventually { try keys()["count"] as? Int == 3 }, "\(daemon.log)")
    #expect(try eventually { try place.read("out.csv").lineCount == 901 })
    let oldest = try #require(keys("?top=oldest&limit=1")["keys"] as? [[String: Any]])
    #expect(oldest.count == 1 && oldest[0]["key"] as? String == "JFK")
    let named = try #require(keys("?key=LGA")["keys"] as? [[String: Any]])
    #expect(named.count == 1 && (named[0]["features"] as? [Any])?.count == 2)
    #expect(try #require(keys("?key=SWF")["keys"] as? [Any]).isEmpty)
    #expect(try keys()["unusable"] as? Int == 18)
    let metrics = try daemon.ask("GET", "/metrics").body
    #expect(metrics.contains("evenkeel_stream_keys{stream=\"s\"} 3\n"))
    #expect(!metrics.contains("evenkeel_stream_keys{stream=\"p\"}") && !metrics.contains("JFK"))
    for query in ["?top=best", "?limit=0", "?limit=101", "?other=1", "?key=", "?key"] {
      #expect(try daemon.ask("GET", "/api/v1/streams/s/keys\(query)").status == 400, "\(query)")
    }
    #expect(try daemon.ask("GET", "/api/v1/streams/p/keys").status == 409)
    #expect(try daemon.ask("GET", "/api/v1/streams/none/keys").status == 404)
    let reset = try daemon.ask(
      "POST", "/api/v1/streams/s/reset_keys", "{\"keys\":[\"JFK\",\"none\"]}")
    #expect(reset.status == 200, "\(reset.body)")
    #expect(try keys()["count"] as? Int == 2)
    for (body, status) in [
      ("{\"keys\":[\"JFK\"]}", 422), ("{\"keys\":[]}", 400), ("{\"keys\":[\"\"]}", 400),
      ("{}", 400),
    ] {
      #expect(
        try daemon.ask("POST", "/api/v1/streams/s/reset_keys", body).status == status,
        "\(body)")
    }
    #expect(
      try daemon.ask("POST", "/api/v1/streams/p/reset_keys", "{\"keys\":[\"a\"]}").status == 422)
    #expect(
      try daemon.ask("PUT", "/api/v1/streams/s/mode", "{\"mode\":\"batch\"}").status == 409)
    #expect(try daemon.ask("POST", "/api/v1/streams/s/checkpoint").status == 200)
    #expect(try daemon.stop().exitCode == 0)
    // The keys come back with the checkpoint.
    let again = try Daemon(in: place, Self.stream)
    #expect(eventually { (try? again.status("keys", as: Int.self)) == 2 }, "\(again.log)")
    #expect(try again.stop().exitCode == 0)
  }

  private static let stream = """
    s:
      source: { follow: { path: all.csv } }
      format: csv
      features: [x, y]
      normalize: { key: { columns: [site], max: 10 } }
      batch: { size: 50, max_delay: 100ms }
      sink: { file: { path: out.csv } }
    """
}
