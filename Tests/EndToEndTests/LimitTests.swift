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
