import BatchNormalization
import Codecs
import Configuration
import Connectors
import Dataflow
import Foundation
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// The message of each record, from the source to the sink. The records name their messages themselves.
@Suite struct MessageOriginTests {
  /// Messages in one split.
  private struct MessageSource: Source {
    struct Message {
      /// With its line end.
      var bytes: [UInt8]
      var records: MessageRun.Records
      /// Whether nothing of it goes on in the next one.
      var endsRecord = false
      var hasTime = true
    }

    let name = "messages"
    let size: Int? = nil
    let endsAnywhere = false
    let messages: [Message]
    private let starts: [Int]
    private var random: SeededGenerator
    private let piece: Int
    private var offset = 0
    private var isIdle = false

    init(_ messages: [Message], piece: Int, seed: UInt64) {
      self.messages = messages
      self.piece = piece
      random = SeededGenerator(seed: seed)
      starts = messages.indices.map { messages[..<$0].reduce(0) { $0 + $1.bytes.count } }
    }

    private func index(at offset: Int) -> Int? { starts.lastIndex { $0 <= offset } }

    mutating func read(
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(FileError) -> SourceEvent {
      isIdle = !isIdle && Bool.random(using: &random)
      guard !isIdle, let first = index(at: offset),
        offset < starts[first] + messages[first].bytes.count
      else { return .idle(Awaiting(nil, seconds: 1)) }
      var end = first
      while !messages[end].endsRecord, end + 1 < messages.count { end += 1 }
      let bytes = messages[first...end].flatMap(\.bytes).dropFirst(offset - starts[first])
      let count = min(piece, buffer.count, bytes.count)
      buffer.copyBytes(from: bytes.prefix(count))
      offset += count
      let isWhole = count == bytes.count && messages[end].endsRecord
      return .data(0, isWhole ? .message(count) : .bytes(count))
    }

    func messages(of split: SplitID, at offset: Int, atMost count: Int) -> MessageRun? {
      guard let first = index(at: offset), starts[first] <= self.offset else { return nil }
      var end = first + 1
      while messages[first].records == .oneEach, end < messages.count, end - first < count,
        messages[end].records == .oneEach
      { end += 1 }
      let origins = (first..<end).map {
        MessageOrigin(
          partition: 3, offset: $0, milliseconds: messages[$0].hasTime ? 10 * $0 : nil,
          attributes: Array("k\($0)".utf8))
      }
      return MessageRun(
        start: starts[first], end: starts[end - 1] + messages[end - 1].bytes.count,
        records: messages[first].records, origins: origins[...])
    }

    mutating func abandon(_ split: SplitID) {}
  }

  /// Keeps what it is given, with the messages.
  private final class OriginSink: ByteSink, @unchecked Sendable {
    // @unchecked because one test uses it.
    let name = "origins"
    var pieces: [[UInt8]] = []
    var origins: [MessageOrigin] = []

    var keepsOrigins: Bool { true }
    func begin(_ prologue: [UInt8], endingWith epilogue: (any Epilogue)?) throws(FileError) {}
    func write(_ bytes: [UInt8]) throws(FileError) { pieces.append(bytes) }
    func write(_ pieces: [[UInt8]], of origins: [MessageOrigin]) throws(FileError) {
      self.pieces += pieces
      self.origins += origins
    }
    func push() throws(FileError) -> Awaiting? { nil }
    func finish() throws(FileError) {}
  }

  /// Drives the stages until nothing more comes.
  private static func run(
    _ configuration: StreamConfiguration, _ messages: [MessageSource.Message], seed: UInt64
  ) throws -> (sink: OriginSink, rejected: [RejectedRecord]) {
    var random = SeededGenerator(seed: seed)
    let (sink, clock) = (OriginSink(), ManualClock())
    var configuration = configuration
    configuration.keepsMessages = true
    var flow = SerialFlow(
      try IngestStage(
        IngestContext(
          configuration, schedule: .atEnd, metrics: StreamMetrics(), inbox: RequestInbox(),
          clock: clock.clock),
        source: MessageSource(
          messages, piece: .random(in: 1...200, using: &random), seed: seed)),
      OperateStage(
        configuration, from: InitialState(), unitBytes: .random(in: 1...2000, using: &random),
        clock: clock.clock),
      try EncodeWorker(level: nil, keepsOrigins: !configuration.mixesMessages),
      EmitStage(
        streamName: configuration.name, StreamOutput(sink: sink), metrics: StreamMetrics()))
    var rejected: [RejectedRecord] = []
    var quiet = 0
    while !flow.hasEnded {
      quiet = flow.isQuiet ? quiet + 1 : 0
      // The source may be idle in between.
      _ = try flow.stepSource(quiet > 50 ? .end : .resume)
      for unit in try flow.stepMiddle() { rejected += unit.events.badRecords }
      _ = try flow.stepWorker(using: &random)
      try flow.stepSink()
    }
    return (sink, rejected)
  }

  private static func configuration(
    _ format: RecordFormat, _ random: inout SeededGenerator
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: format)
    configuration.batch.size = .random(in: 1...20, using: &random)
    configuration.isLive = true
    configuration.badRecords = .deadLetter
    return configuration
  }

  /// The message of a record, and its place among the records of that message, as the record names them.
  private static func named(_ line: Substring) throws -> (message: Int, place: Int) {
    let digits = line.split { !$0.isNumber && $0 != "m" }.first { $0.first == "m" }
    let numbers = try #require(digits, "\(line)").split(separator: "m").compactMap { Int($0) }
    return (numbers[0], numbers[1])
  }

  @Test(arguments: 0..<40, ["ndjson", "csv"])
  func `each record has its message, whatever lies between them`(round: Int, format: String) throws
  {
    let seed = testSeed &+ UInt64(round)
    var random = SeededGenerator(seed: seed)
    var configuration = Self.configuration(.named(format), &random)
    configuration.decoder.features = ["f0", "f1"].map { FeaturePattern(name: $0) }
    if format == "csv" { configuration.decoder.settings[CSVSettings.header] = false }
    var expected: [String] = []
    var bad: [String] = []
    let messages = (0..<Int.random(in: 1...120, using: &random)).map { message in
      let count = Int.random(in: 0..<8, using: &random)
      var lines: [String] = []
      for place in 0..<max(1, count - 4) where count > 0 {
        // The first records must be good, so that the stream opens.
        let isBad = message > 0 && Int.random(in: 0..<8, using: &random) == 0
        let (name, x) = ("m\(message)m\(place)", Int.random(in: 0..<100, using: &random))
        if isBad { bad.append(name) } else { expected.append(name) }
        let value = isBad ? "bad" : "\(x)"
        lines.append(
          format == "csv"
            ? "\(value),\(message),\(name)"
            : "{\"f0\":\(isBad ? "\"bad\"" : value),\"f1\":\(message),\"id\":\"\(name)\"}")
        if message > 0, Int.random(in: 0..<9, using: &random) == 0 { lines.append("") }
      }
      let text = lines.joined(separator: "\n") + "\n"
      return MessageSource.Message(
        bytes: Array(text.utf8), records: lines.count == 1 && lines[0] != "" ? .oneEach : .any)
    }
    let (sink, rejected) = try Self.run(configuration, messages, seed: seed)
    let lines = sink.pieces.flatMap { String(decoding: $0, as: UTF8.self).split(separator: "\n") }
    let names = try lines.map { try Self.named($0) }
    #expect(names.map { "m\($0.message)m\($0.place)" } == expected, "seed \(seed)")
    #expect(sink.origins.map(\.offset) == names.map(\.message), "seed \(seed)")
    for (origin, name) in zip(sink.origins, names) {
      let lines = String(decoding: messages[name.message].bytes, as: UTF8.self)
      let start = try #require(lines.range(of: "m\(name.message)m\(name.place)"))
      let before = lines[..<start.lowerBound]
      let line = before.lastIndex(of: "\n").map {
        lines.utf8.distance(from: lines.startIndex, to: $0) + 1
      }
      #expect(origin.part == line ?? 0, "seed \(seed)")
      #expect(origin.milliseconds == 10 * name.message)
      #expect(origin.attributes == Array("k\(name.message)".utf8))
    }
    for (record, name) in zip(rejected, bad) {
      #expect(String(decoding: record.bytes, as: UTF8.self).contains(name), "seed \(seed)")
      let offset = try #require(record.origin?.offset, "seed \(seed)")
      #expect(name.hasPrefix("m\(offset)m"), "seed \(seed)")
    }
    #expect(rejected.count == bad.count)
  }

  @Test func `a message without a timestamp is a bad record`() throws {
    var random = SeededGenerator()
    var configuration = Self.configuration(.ndjson, &random)
    configuration.decoder.features = [FeaturePattern(name: "x")]
    configuration.normalization.momentum = .halfLifeEventTime(300)
    configuration.usesMessageTimes = true
    let messages = (0..<60).map { number in
      MessageSource.Message(
        bytes: Array("{\"x\":\(number % 5)}\n".utf8), records: .oneEach, hasTime: number % 7 != 3)
    }
    let (sink, rejected) = try Self.run(configuration, messages, seed: testSeed)
    let timeless = (0..<60).filter { $0 % 7 == 3 }
    #expect(rejected.map(\.origin?.offset) == timeless, "seed \(testSeed)")
    #expect(
      rejected.allSatisfy {
        $0.fault.description == "expected a message with a timestamp, found none"
      })
    #expect(sink.origins.map(\.offset) == (0..<60).filter { $0 % 7 != 3 }, "seed \(testSeed)")
    #expect(sink.pieces.flatMap(\.self).count { $0 == 0x0A } == sink.origins.count)
  }

  @Test(arguments: 0..<20)
  func `each record batch of Arrow is a message, with that of its rows`(round: Int) throws {
    let seed = testSeed &+ UInt64(round)
    var random = SeededGenerator(seed: seed)
    let configuration = Self.configuration(.arrow, &random)
    var expected: [Int] = []
    var counts: [Int] = []
    let messages = try (0..<Int.random(in: 1...12, using: &random)).map { message in
      var rows = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        Int.random(in: 0..<30, using: &random)
      }
      if message == 0 { rows = [5] }
      for count in rows where count > 0 {
        expected.append(message)
        counts.append(count)
      }
      return MessageSource.Message(
        bytes: try ArrowInput.batches(rows), records: .units, endsRecord: true)
    }
    let sink = try Self.run(configuration, messages, seed: seed).sink
    #expect(sink.origins.map(\.offset) == expected, "seed \(seed)")
    #expect(sink.pieces.count == expected.count, "seed \(seed)")
    // The record batches of a message have ascending parts.
    for (one, next) in zip(sink.origins, sink.origins.dropFirst()) where one.offset == next.offset {
      #expect(one.part < next.part, "seed \(seed)")
    }
  }
}
