import Foundation
import TestSupport
import Testing

/// The daemon makes all its threads at the start, as many for one stream as for 500.
@Suite(.serialized) struct ThreadTests {
  /// Fewer than 16 with two processors: two more for the stages, four for disks, and those that wait for
  /// descriptors, for signals, for reloads, for streams that change, and for requests.
  static let most =
    isSanitized ? Int.max : ProcessInfo.processInfo.activeProcessorCount + 13

  @Test func `streams at work take no more threads than idle ones`() throws {
    let place = try Workplace()
    let count = 8
    // Each second one writes to a file, and all keep checkpoints.
    let streams = (0..<count).map { index in
      """
      s\(index):
        source: { unix: { path: \(index).in } }
        format: { csv: { header: true } }
        features: [a, b]
        normalize: { mode: running }
        checkpoint: { interval: 1s }
        sink: \(index.isMultiple(of: 2) ? "{ file: { path: \(index).csv } }" : "{ unix: { path: \(index).out } }")
        compression: off
      """
    }
    let daemon = try Daemon(in: place, streams.joined(separator: "\n"))
    let idle = try daemon.threadCount()
    #expect(idle <= Self.most)
    let readers = try (0..<count).map { index in
      index.isMultiple(of: 2) ? nil : try Peer(unix: place.path("\(index).out"))
    }
    let producers = try (0..<count).map { try Peer(unix: place.path("\($0).in")) }
    for producer in producers { producer.send(Records.header) }
    for round in 0..<200 {
      for (index, producer) in producers.enumerated() {
        producer.send(Records.record(index, round))
      }
      if round.isMultiple(of: 20) { #expect(try daemon.threadCount() == idle) }
    }
    for reader in readers.compactMap({ $0 }) { #expect(reader.lines(201).count == 201) }
    #expect(
      try eventually {
        try (0..<count).allSatisfy { try daemon.count("checkpoints", of: "s\($0)") > 0 }
      })
    #expect(try daemon.threadCount() == idle)
    #expect(try daemon.stop().exitCode == 0)
  }
}
