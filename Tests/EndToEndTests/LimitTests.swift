import Foundation
import TestSupport
import Testing

/// Limits of the system that are below what a configuration needs.
@Suite(.serialized) struct LimitTests {
  private let place: Workplace

  init() throws { place = try Workplace() }

  private func configure(streams: Int) throws {
    let streams = (0..<streams).map {
      """
      s\($0): { source: { unix: { path: \($0).in } }, format: csv, sink: { file: { path: \($0).csv } } }
      """
    }
    try Daemon.write(streams.joined(separator: "\n"), in: place)
  }

  @Test(arguments: [
    // A stack takes 4 GB of address space, so there is room for four.
    ("ulimit -s 4000000 && ulimit -v 20000000", "threads"), ("ulimit -n 30", "descriptors"),
  ])
  func `a limit that is too low is told in one line, and nothing starts`(
    limit: String, need: String
  ) throws {
    guard !isSanitized else { return }
    try configure(streams: 20)
    let finished = try place.shell(
      "\(limit) && exec timeout 120 $EVENKEEL run --config e.yaml")
    #expect(finished.exitCode == 78)
    #expect(finished.errors.lineCount == 1, "\(finished.errors)")
    #expect(finished.errors.contains(need), "\(finished.errors)")
    #expect(finished.errors.contains("raise "), "\(finished.errors)")
    #expect(!place.files.contains("state"))
  }

  @Test func `a limit below what the process itself has is told without a negative number`() throws
  {
    guard !isSanitized else { return }
    try configure(streams: 1)
    let finished = try place.shell("ulimit -n 6; exec $EVENKEEL run --config e.yaml")
    #expect(finished.exitCode == 78)
    #expect(finished.errors.contains("the limit is 6: raise"), "\(finished.errors)")
    #expect(!finished.errors.contains(" -1"), "\(finished.errors)")
  }

  /// A stream of each kind of source and sink, some with dead letters.
  private var streamOfEachKind: String {
    """
    u: { source: { unix: { path: u.in } }, format: csv, sink: { unix: { path: u.out } }, on_bad_record: dead_letter }
    f: { source: { fifo: { path: f.in, create: true } }, format: csv, sink: { fifo: { path: f.out, create: true } } }
    d: { source: { directory: { path: . , pattern: "*.csv" } }, format: csv, sink: { file: { path: out/d } } }
    w: { source: { follow: { path: w.csv } }, format: csv, sink: { file: { path: out/w, rotate: { size: 1MB } } } }
    s: { source: stdin, format: csv, sink: { file: { path: out/s } }, on_bad_record: dead_letter }
    """
  }

  @Test func `the descriptors that are counted are those that are used, and they suffice`() throws {
    guard !isSanitized else { return }
    try FileManager.default.createDirectory(
      atPath: place.path("out"), withIntermediateDirectories: true)
    try place.write("w.csv", Array("a\n1\n".utf8))
    let streams =
      streamOfEachKind + "\n"
      + (0..<20).map {
        "x\($0): { source: { unix: { path: x\($0).in } }, format: csv, sink: { unix: { path: x\($0).out } } }"
      }.joined(separator: "\n")
    try Daemon.write(streams, in: place)
    let refused = try place.shell("ulimit -n 20; exec $EVENKEEL run --config e.yaml")
    let need = try #require(
      refused.errors.split(separator: " ").compactMap { Int($0) }.first, "\(refused.errors)")
    let below = try place.shell("ulimit -n \(need - 1); exec $EVENKEEL run --config e.yaml")
    #expect(below.exitCode == 78)
    let daemon = try Daemon(in: place, streams, limit: "ulimit -n \(need)")
    let names = ["u"] + (0..<20).map { "x\($0)" }
    let peers = try names.flatMap { name in
      let producer = try Peer(unix: place.path(name + ".in"))
      producer.send("a\n1\n2\n")
      return [producer, try Peer(unix: place.path(name + ".out"))]
    }
    for name in names {
      #expect(try eventually { try daemon.count("records", of: name) > 0 })
    }
    #expect(!daemon.log.contains("Too many open files"), "\(daemon.log)")
    // The rest is for what is open for a moment only.
    let used = daemon.descriptorCount
    #expect(used <= need && used >= need - 16, "used \(used), counted \(need)")
    for peer in peers { peer.close() }
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a limit that leaves enough is no matter`() throws {
    guard !isSanitized else { return }
    try configure(streams: 20)
    let script = """
      ulimit -n 400; $EVENKEEL run --config e.yaml & p=$!
      i=0; while [ $i -lt 600 ] && ! curl -s --unix-socket control.sock http://x/readyz; do
        sleep 0.1; i=$((i + 1)); done
      kill $p; wait $p
      """
    #expect(try place.shell(script).exitCode == 0)
  }
}
