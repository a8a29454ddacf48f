import Dataflow
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Connectors

/// The source of topics, over logs in memory.
@Suite struct KafkaSourceTests {
  private static func source(
    _ log: MemoryLog, _ options: KafkaSourceOptions = KafkaSourceOptions(),
    ends: RecordEnds? = .lines(quote: nil), at cursor: InputCursor? = nil,
    statistics: ConnectorStatistics = ConnectorStatistics(), keepsMessages: Bool = false
  ) throws -> KafkaSource {
    var connector = ConnectorContext(fileSystem: POSIXFileSystem(), statistics: statistics)
    connector.recordEnds = ends
    connector.keepsMessages = keepsMessages
    return try KafkaSource(log, topic: "t", options, in: SourceContext(connector, cursor: cursor))
  }

  /// The events of a source until it waits: `0:bytes`, or `0!bytes` if a record ends with them for certain.
  private static func events(_ source: inout KafkaSource, capacity: Int = 1000) throws -> [String] {
    var events: [String] = []
    var buffer = [UInt8](repeating: 0, count: capacity)
    while true {
      let event = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
      guard case .data(let split, let chunk) = event else { return events }
      let sign = if case .message = chunk { "!" } else { ":" }
      events.append("\(split)\(sign)" + String(decoding: buffer[..<chunk.byteCount], as: UTF8.self))
    }
  }

  @Test func `each message of lines gets a line end, and one without a value is no record`() throws
  {
    let statistics = ConnectorStatistics()
    let log = MemoryLog([[Array("a".utf8), nil, [], Array("b\n".utf8), Array("c".utf8)]])
    var source = try Self.source(log, statistics: statistics)
    #expect(try Self.events(&source) == ["0:a\nb\nc\n"])
    #expect(statistics.skippedMessages.load(ordering: .relaxed) == 2)
    #expect(statistics.backlogMessages.value == 0)
    #expect(source.start(of: 0).name == "t/0")
    #expect(source.start(of: 0).isPlain)
  }

  @Test func `it has caught up when it has given what was there at the start`() throws {
    let log = MemoryLog([[Array("a".utf8), Array("b".utf8)], [nil]])
    var source = try Self.source(log)
    log.partitions[0].append(Array("c".utf8))
    #expect(!source.hasCaughtUp)
    var buffer = [UInt8](repeating: 0, count: 3)
    // A part of the second message.
    _ = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
    #expect(!source.hasCaughtUp)
    _ = try Self.events(&source)
    #expect(source.hasCaughtUp)
    // The last offsets are no messages that a consumer gets.
    let marked = MemoryLog([[Array("a".utf8), Array("b".utf8)]])
    let behind = try Self.source(marked)
    #expect(!behind.hasCaughtUp)
    marked.seenEnds[0] = 2
    #expect(behind.hasCaughtUp)
  }

  @Test func `a message of JSON is one line, and one of CSV with an open quote ends there`() throws
  {
    var json = try Self.source(MemoryLog(["{\n \"a\": 1\n}\n", "{}"]))
    #expect(try Self.events(&json) == ["0:{  \"a\": 1 }\n{}\n"])
    var frames = try Self.source(
      MemoryLog(["{}\n{}", "{}"]), KafkaSourceOptions(payload: .frame))
    #expect(try Self.events(&frames) == ["0:{}\n{}\n{}\n"])
    let quote = UInt8(ascii: "\"")
    var csv = try Self.source(
      MemoryLog(["1,\"a\nb\"", "2,\"x", "3,y"]), ends: .lines(quote: quote))
    #expect(try Self.events(&csv) == ["0!1,\"a\nb\"\n2,\"x\n", "0:3,y\n"])
    var rows = try Self.source(MemoryLog(["abcd", "efg", "hijk"]), ends: .rows(byteCount: 4))
    #expect(try Self.events(&rows) == ["0!abcdefg", "0:hijk"])
    var arrow = try Self.source(MemoryLog(["one", "two"]), ends: .arrowMessages)
    #expect(try Self.events(&arrow) == ["0!one", "0!two"])
  }

  @Test(arguments: 0..<100)
  func `a source that resumes at any byte gives the rest, and every byte once`(round: Int) throws {
    var random = SeededGenerator(seed: testSeed &+ UInt64(round))
    let partitions = (0..<Int.random(in: 1...3, using: &random)).map { _ -> [[UInt8]?] in
      (0..<Int.random(in: 0...30, using: &random)).map { _ -> [UInt8]? in
        guard Int.random(in: 0..<8, using: &random) > 0 else { return nil }
        return (0..<Int.random(in: 0...40, using: &random)).map { _ in
          UInt8(ascii: "a") + .random(in: 0..<26, using: &random)
        }
      }
    }
    let expected: [[UInt8]] = partitions.map { (messages: [[UInt8]?]) -> [UInt8] in
      var bytes: [UInt8] = []
      for case let message? in messages where !message.isEmpty { bytes += message + [0x0A] }
      return bytes
    }
    var given = [[UInt8]](repeating: [], count: partitions.count)
    var cursor: InputCursor?
    for _ in 0..<20 {
      let log = MemoryLog(partitions)
      log.run = .random(in: 1...5, using: &random)
      var source = try Self.source(log, at: cursor)
      #expect(source.gap == nil)
      let capacity = Int.random(in: 1...60, using: &random)
      var buffer = [UInt8](repeating: 0, count: capacity)
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        let event = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
        guard case .data(let split, let chunk) = event else { break }
        given[split] += buffer[..<chunk.byteCount]
        #expect(expected[split].starts(with: given[split]), "seed \(testSeed)")
      }
      // Resumes at any byte that was given, as after the last batch that was cut.
      var next = InputCursor(done: source.done)
      for split in given.indices where !given[split].isEmpty {
        let first = cursor?.splits.first { $0.split == "t/\(split)" }?.byteOffset ?? 0
        let byte = Int.random(in: first...given[split].count, using: &random)
        source.settled(split, at: first)
        var splitCursor = SplitCursor(split: "t/\(split)", byteOffset: byte)
        splitCursor.source = try source.mark(of: split, at: byte)
        next.splits.append(splitCursor)
        given[split].removeLast(given[split].count - byte)
      }
      cursor = next
    }
    var last = try Self.source(MemoryLog(partitions), at: cursor)
    for event in try Self.events(&last, capacity: 7) {
      let split = try #require(Int(String(event.prefix(1))))
      given[split] += event.utf8.dropFirst(2)
    }
    #expect(given == expected, "seed \(testSeed)")
  }

  @Test func `a partition begins where its start says, and a new one at its beginning`() throws {
    let log = MemoryLog(["a", "b", "c"])
    for (start, bytes) in [
      (KafkaStart.earliest, ["0:a\nb\nc\n"]), (.latest, []), (.time(milliseconds: 1), ["0:b\nc\n"]),
    ] {
      var source = try Self.source(log, KafkaSourceOptions(start: start))
      #expect(try Self.events(&source) == bytes)
    }
    // An earlier run began at the end of partition 0, and has read nothing.
    let first = try Self.source(log, KafkaSourceOptions(start: .latest))
    log.partitions[0].append(Array("d".utf8))
    log.partitions.append([Array("e".utf8)])
    log.lows.append(0)
    var second = try Self.source(
      log, KafkaSourceOptions(start: .latest), at: InputCursor(done: first.done))
    #expect(try Self.events(&second).sorted() == ["0:d\n", "1:e\n"])
  }

  @Test func `messages that are gone are a gap, and a topic that was made again is refused`() throws
  {
    let log = MemoryLog(["a", "b", "c"])
    var first = try Self.source(log)
    _ = try Self.events(&first)
    func cursor(at offset: Int) throws -> InputCursor {
      var split = SplitCursor(split: "t/0", byteOffset: offset)
      split.source = try first.mark(of: 0, at: offset)
      return InputCursor(splits: [split], done: first.done)
    }
    log.lows = [2]
    log.partitions = [[Array("c".utf8), Array("d".utf8)]]
    let failing = try Self.source(log, at: cursor(at: 2))
    #expect(
      failing.gap == "t/0: offsets 1 to 1 were removed before they were read; "
        + "on_gap: continue goes on after them")
    #expect(failing.isChangedInPlace)
    let statistics = ConnectorStatistics()
    var continuing = try Self.source(
      log, KafkaSourceOptions(onGap: .continue), at: cursor(at: 2), statistics: statistics)
    #expect(!continuing.isChangedInPlace)
    #expect(continuing.gap?.hasPrefix("t/0: offsets 1 to 1") == true)
    #expect(statistics.lostMessages.load(ordering: .relaxed) == 1)
    #expect(try Self.events(&continuing) == ["0:c\nd\n"])
    log.lows = [0]
    log.partitions = [[Array("x".utf8)]]
    let again = try Self.source(log, KafkaSourceOptions(onGap: .continue), at: cursor(at: 4))
    #expect(again.isChangedInPlace)
    #expect(again.gap?.contains("ends at offset 1, before offset 2") == true)
  }

  @Test func `a message that was read in part and is another one now is refused`() throws {
    let log = MemoryLog(["abc", "def"])
    var first = try Self.source(log)
    _ = try Self.events(&first)
    var split = SplitCursor(split: "t/0", byteOffset: 6)
    split.source = try first.mark(of: 0, at: 6)
    for other in [["abc", "x"], ["abc", "", "ghi"]] {
      let changed = MemoryLog(other)
      var second = try Self.source(changed, at: InputCursor(splits: [split], done: first.done))
      #expect(throws: FileError.self) { try Self.events(&second) }
    }
  }

  @Test func `a place names its message, and an abandoned partition gives no more`() throws {
    let log = MemoryLog(["aa", "bb", "cc"])
    log.lows = [10]
    var source = try Self.source(log)
    _ = try Self.events(&source)
    #expect(source.place(of: 0, at: 3) == "t/0 at offset 11")
    source.settled(0, at: 6)
    #expect(source.place(of: 0, at: 6) == "t/0 at offset 12")
    source.abandon(0)
    #expect(log.stopped == [0])
    log.partitions[0].append(Array("dd".utf8))
    #expect(try Self.events(&source).isEmpty)
  }

  @Test func `a source with an end gives the messages up to it, then the ends`() throws {
    let log = MemoryLog([["a", "b", "c"], [], ["x"]].map { $0.map { Array($0.utf8) } })
    var whole = try Self.source(log, KafkaSourceOptions(ends: true))
    log.partitions[2].append(Array("later".utf8))
    #expect(try Self.events(&whole).sorted() == ["0:a\nb\nc\n", "2:x\n"])
    var part = try Self.source(
      log, KafkaSourceOptions(partitions: [0], start: .offset(1), ends: true, end: 2))
    var buffer = [UInt8](repeating: 0, count: 100)
    var events: [SourceEvent] = []
    while events.last != .end {
      events.append(try buffer.withUnsafeMutableBytes { try part.read(into: $0) })
      #expect(events.count < 5)
    }
    #expect(events == [.data(0, .bytes(2)), .ended(0), .end])
    for (first, end) in [(0, 9), (4, 4)] {
      #expect(throws: FileError.self) {
        try Self.source(
          log, KafkaSourceOptions(partitions: [1], start: .offset(first), ends: true, end: end))
      }
    }
  }

  @Test func `a location names brokers, topic, partition and offsets`() throws {
    let found = try KafkaLocation("kafka://a:1,b:2/t.x/3/10-20")
    #expect(found.connection.brokers == ["a:1", "b:2"])
    #expect(found.connection.topic == "t.x")
    #expect(found.options.partitions == [3])
    #expect(found.options.start == .offset(10))
    #expect(found.options.end == 20)
    for wrong in [
      "a/t", "a:1", "a:1/", "a:1/t/x", "a:1/t/1/5", "a:1/t/1/5-4", "a:1/t/1/1-2/3", ":1/t",
    ] {
      #expect(throws: FileError.self, "\(wrong)") { try KafkaLocation("kafka://" + wrong) }
    }
  }

  @Test func `the places of messages are forgotten as batches are cut`() {
    var places = MessagePlaces(at: 0, next: 0)
    var most = 0
    for offset in 0..<10_000 {
      places.begin(MessageOrigin(partition: 0, offset: offset))
      places.give(3)
      places.complete()
      places.forget(before: max(0, places.end - 30))
      most = max(most, places.count)
    }
    #expect(most <= 12)
    #expect(places.place(at: 30_000).offset == 10_000)
    #expect(places.place(at: 29_998) == (9_999, 1))
  }

  @Test func `messages of one record each are a run, and others are by themselves`() throws {
    func runs(_ texts: [String], _ ends: RecordEnds, _ payload: KafkaPayload = .message) throws
      -> [String]
    {
      var source = try Self.source(
        MemoryLog(texts), KafkaSourceOptions(payload: payload), ends: ends, keepsMessages: true)
      _ = try Self.events(&source)
      var (runs, offset): ([String], Int) = ([], 0)
      while let run = source.messages(of: 0, at: offset, atMost: 3), run.end > offset {
        #expect(run.start == offset)
        let offsets = run.origins.map { "\($0.offset)" }.joined(separator: ",")
        runs.append("\(run.records) \(offsets)")
        #expect(run.origins.allSatisfy { $0.milliseconds == 1000 * $0.offset })
        offset = run.end
      }
      return runs
    }
    let json = try runs(["{}", "{}", " ", "{}", "{\n}", "{}", "{}"], .lines(quote: nil))
    #expect(json == ["oneEach 0,1", "any 2", "oneEach 3,4,5", "oneEach 6"])
    #expect(try runs(["{}\n{}", "{}"], .lines(quote: nil), .frame) == ["any 0", "oneEach 1"])
    let csv = try runs(
      ["1,a", "2,b\n3,c", "#x", "-4", "5,\"y\"", "\n", "6\n"], .lines(quote: UInt8(ascii: "\"")))
    #expect(csv == ["oneEach 0", "any 1", "any 2", "oneEach 3", "any 4", "any 5", "oneEach 6"])
    #expect(
      try runs(["abcd", "efghijkl", "mnop"], .rows(byteCount: 4)) == [
        "oneEach 0", "any 1", "oneEach 2",
      ])
    #expect(try runs(["one", "two"], .arrowMessages) == ["units 0", "units 1"])
    let none = try Self.source(MemoryLog(["{}"]))
    #expect(none.messages(of: 0, at: 0, atMost: 1) == nil)
    #expect(none.partitionCount == 1)
  }

  @Test func `a partition that the topic does not have is refused`() {
    #expect(throws: FileError.self) {
      try Self.source(MemoryLog(["a"]), KafkaSourceOptions(partitions: [0, 1]))
    }
  }
}
