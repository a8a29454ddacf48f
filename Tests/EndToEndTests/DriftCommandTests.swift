import Foundation
import TestSupport
import Testing

/// Drift, as the users of the program see it.
@Suite(.serialized) struct DriftCommandTests {
  private func generate(_ place: Workplace, _ name: String, _ options: String...) throws {
    let all =
      ["generate", "--seed", "3", "--features", "3", "--season", "0", "--drift", "0", "-o", name]
      + options
    let made = try place.shell("\"$EVENKEEL\" " + all.joined(separator: " "))
    #expect(made.exitCode == 0, "\(made.errors)")
  }

  @Test func `files are compared with a checkpoint, and the exit code tells the result`() throws {
    let place = try Workplace()
    try generate(place, "train.csv", "--rows", "40000")
    let fit = try place.evenkeel(
      "fit", "train.csv", "--features", "f*", "--momentum", "cumulative", "--drift", "on", "-o",
      "train.safetensors")
    #expect(fit.exitCode == 0, "\(fit.errors)")
    try generate(place, "same.csv", "--rows", "10000")
    func drift(_ file: String, _ options: String...) throws -> Finished {
      try place.shell(
        "\"$EVENKEEL\" drift \(file) --features 'f*' --momentum cumulative "
          + options.joined(separator: " "))
    }
    let same = try drift("same.csv", "--reference", "train.safetensors")
    #expect(same.exitCode == 0 && same.errors.isEmpty, "\(same.errors)")
    #expect(String(decoding: same.output, as: UTF8.self).hasSuffix("\nno feature drifts\n"))
    try generate(
      place, "moved.csv", "--rows", "10000", "--changes", "bias@5000:f1,dead@7000:f2")
    let moved = try drift(
      "moved.csv", "--reference", "train.safetensors", "--report", "r.html", "--json")
    #expect(moved.exitCode == 3, "\(moved.errors)")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(moved.output)) as? [String: Any])
    #expect(json["drifting"] as? [String] == ["f1", "f2"])
    let events = try #require(json["events"] as? [[String: Any]])
    #expect(events.first?["feature"] as? String == "f1")
    // The batch of record 5,000, counted from 0; chance may have moved the score a little before.
    let since = try #require(events.first?["since_batch"] as? Int)
    let changed = 5000 / 256
    #expect(since >= changed - 3 && since <= changed + 2, "\(since)")
    let page = String(decoding: try place.read("r.html"), as: UTF8.self)
    #expect(
      page.contains("2 of 3 features drift") && page.components(separatedBy: "<svg").count == 10)
    #expect(
      try drift("moved.csv", "--reference", "train.safetensors", "--report", "r.md").exitCode == 3)
    let markdown = String(decoding: try place.read("r.md"), as: UTF8.self)
    #expect(markdown.contains("**2 of 3 features drift.**") && markdown.contains("▁"))
    // The checkpoint does not know f3.
    let more = try place.shell(
      "\"$EVENKEEL\" generate --seed 3 --features 4 --season 0 --drift 0 --rows 10000 -o more.csv")
    #expect(more.exitCode == 0, "\(more.errors)")
    let open = try drift("more.csv", "--reference", "train.safetensors")
    #expect(
      String(decoding: open.output, as: UTF8.self)
        .hasSuffix("\nno feature drifts; not judged, of too few values: 'f3'\n"))
    // Too few values are not judged, whatever they are.
    try place.write("few.csv", Array("f0,f1,f2\n1e6,1e6,1e6\n1e7,1e7,1e7\n".utf8))
    let few = try drift("few.csv", "--reference", "train.safetensors")
    #expect(few.exitCode == 65 && few.errors.contains("found none in 1 batch;"), "\(few.errors)")
    // Without a reference that knows the spread, a short file cannot be judged.
    let short = try drift("moved.csv")
    #expect(
      short.exitCode == 65 && short.errors.contains("more than 100 batches"), "\(short.errors)")
    let both = try drift("moved.csv", "--reference", "train.safetensors", "--follow")
    #expect(both.exitCode == 64 && both.errors.contains("--follow"), "\(both.errors)")
  }

  @Test func `threads and a stored state make no difference to alarms`() throws {
    let place = try Workplace()
    try generate(place, "long.csv", "--rows", "40000", "--changes", "noise@30000:f1")
    func alarms(_ options: String) throws -> [UInt8] {
      let found = try place.shell("\"$EVENKEEL\" drift long.csv --features 'f*' --json \(options)")
      #expect(found.exitCode == 3, "\(found.errors)")
      return found.output
    }
    let first = try alarms("--threads 1")
    #expect(try alarms("--threads 4") == first)
    #expect(try alarms("--follow --threads 1") == alarms("--follow --threads 3"))
  }

  @Test func `settings without drift on are refused, and slow moments need a half-life`() throws {
    let place = try Workplace()
    try place.write("a.csv", Array("a\n1\n2\n".utf8))
    let off = try place.evenkeel("normalize", "a.csv", "--drift-reference", "slow")
    #expect(off.exitCode == 64 && off.errors.contains("--drift on"), "\(off.errors)")
    let cumulative = try place.evenkeel(
      "normalize", "a.csv", "--drift", "on", "--drift-reference", "slow", "--momentum",
      "cumulative")
    #expect(
      cumulative.exitCode == 64
        && cumulative.errors.contains("expected start with momentum cumulative"),
      "\(cumulative.errors)")
    let rate = try place.evenkeel("drift", "a.csv", "--false-alarms", "2 per day")
    #expect(rate.exitCode == 64 && rate.errors.contains("1 per 30d"), "\(rate.errors)")
  }

  @Test func `the daemon tells drift everywhere, until the change is accepted`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { unix: { path: in.sock } }
        format: { csv: { header: true } }
        features: [f0, f1, f2]
        batch: { size: 64, max_delay: 1h }
        drift: { false_alarms: 1 per 10000 batches, reference: start, actions: [log, metric, warn, freeze] }
        sink: { file: { path: out.csv } }
      """)
    try generate(
      place, "in.csv", "--rows", "20032", "--changes", "bias@16000:f1", "--no-compress")
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(try place.read("in.csv"))
    #expect(try eventually { try daemon.count("batches") == 313 })
    let ready = try daemon.ask("GET", "/readyz")
    #expect(ready.status == 503 && ready.body.contains("stream 's' drifts: feature 'f1': its mean"))
    let charts = try daemon.ask("GET", "/api/v1/streams/s/drift")
    #expect(charts.status == 200 && charts.body.contains(#""phase":"drifting""#))
    let events = try daemon.ask("GET", "/api/v1/streams/s/events")
    let since = try #require(events.body.firstMatch(of: #/"since_batch":(\d+)/#)?.output.1)
    #expect((250...251).contains(try #require(Int(since))), "\(events.body)")
    #expect(
      try daemon.metric(#"evenkeel_drift_alarm{stream="s",feature="f1",kind="mean"}"#) == 1)
    #expect(
      try daemon.metric(#"evenkeel_drift_alarms_total{stream="s",feature="f1",kind="mean"}"#) == 1)
    #expect(daemon.log.contains("event=drift feature=f1"), "\(daemon.log)")
    // The moments of f1 stand still, those of f0 do not.
    let values = try daemon.features().map { $0["values"] as? Int ?? 0 }
    #expect(values[1] < values[0] - 3000, "\(values)")
    let accepted = try daemon.ask("POST", "/api/v1/streams/s/drift/accept")
    #expect(accepted.status == 200, "\(accepted.body)")
    #expect(try daemon.ask("GET", "/readyz").status == 200)
    #expect(try daemon.ask("GET", "/api/v1/streams/s/drift").body.contains(#""phase":"settled""#))
    #expect(try daemon.stop().exitCode == 0)
  }
}
