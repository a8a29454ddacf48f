import Configuration
import Dataflow
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Connectors

/// Source and sink of topics against librdkafka's mock cluster.
@Suite(.serialized) struct KafkaClusterTests {
  private static func connection(
    _ kafka: MockKafka, _ topic: String, _ properties: [String] = []
  ) -> KafkaConnection {
    KafkaConnection(
      brokers: kafka.addresses, topic: topic,
      properties: properties.compactMap { KafkaProperty($0) })
  }

  private static func context(
    _ ends: RecordEnds? = .lines(quote: nil), _ statistics: ConnectorStatistics = .init()
  ) -> ConnectorContext {
    var context = ConnectorContext(fileSystem: POSIXFileSystem(), statistics: statistics)
    context.recordEnds = ends
    return context
  }

  private static func source(
    _ kafka: MockKafka, _ topic: String, _ context: ConnectorContext = context(),
    at cursor: InputCursor? = nil, _ options: KafkaSourceOptions = KafkaSourceOptions()
  ) throws -> KafkaSource {
    try KafkaSource(
      KafkaConsumer(connection(kafka, topic), in: context), topic: topic, options,
      in: SourceContext(context, cursor: cursor))
  }

  /// Reads until each split has given so many bytes. Waits as a runner does.
  private static func read(
    _ source: inout KafkaSource, until byteCounts: [Int]
  ) throws -> [[UInt8]] {
    var given = byteCounts.map { _ in [UInt8]() }
    var buffer = [UInt8](repeating: 0, count: 8192)
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while zip(given, byteCounts).contains(where: { $0.count < $1 }) {
      guard ContinuousClock.now < deadline else { throw TookTooLong() }
      switch try buffer.withUnsafeMutableBytes({ try source.read(into: $0) }) {
      case .data(let split, let chunk): given[split] += buffer[..<chunk.byteCount]
      case .idle(let awaiting):
        // An event that the descriptor does not tell would make this a hang.
        #expect(awaiting.isReady(within: 60))
      default: Issue.record("another event")
      }
    }
    return given
  }

  private static func texts(_ range: Range<Int>, _ partition: Int = 0) -> [String] {
    range.map { "{\"x\":\($0),\"p\":\(partition)}" }
  }

  @Test func `every message of every partition comes in order, and a later source goes on`() throws
  {
    let kafka = try MockKafka(brokers: 3)
    try kafka.makeTopic("t", partitions: 3)
    let expected = (0..<3).map { partition in
      Array(Self.texts(0..<2000, partition).map { $0 + "\n" }.joined().utf8)
    }
    for partition in 0..<3 { try kafka.write(Self.texts(0..<2000, partition), to: "t", partition) }
    var first = try Self.source(kafka, "t")
    let half = expected.map { $0.count / 2 }
    let before = try Self.read(&first, until: half)
    var cursor = InputCursor(done: first.done)
    for partition in 0..<3 {
      var split = SplitCursor(split: "t/\(partition)", byteOffset: before[partition].count)
      split.source = try first.mark(of: partition, at: before[partition].count)
      cursor.splits.append(split)
    }
    var second = try Self.source(kafka, "t", at: cursor)
    #expect(second.openSplits == [0, 1, 2])
    let after = try Self.read(&second, until: zip(expected, before).map { $0.count - $1.count })
    #expect(zip(before, after).map { $0 + $1 } == expected)
  }

  @Test func `a leader that moves and a broker that is down for a while lose and double nothing`()
    throws
  {
    let kafka = try MockKafka(brokers: 2)
    try kafka.makeTopic("t", partitions: 1)
    try kafka.setLeader(of: 0, of: "t", to: 1)
    let expected = Array(Self.texts(0..<3000).map { $0 + "\n" }.joined().utf8)
    let statistics = ConnectorStatistics()
    var sink = KafkaSink(
      try KafkaProducer(Self.connection(kafka, "t"), in: Self.context(nil, statistics)), topic: "t",
      .message, ends: .lines(quote: nil))
    var source = try Self.source(kafka, "t")
    for part in 0..<3 {
      let lines = Self.texts(part * 1000..<(part + 1) * 1000).map { $0 + "\n" }.joined()
      try sink.write(Array(lines.utf8), records: 1000)
      if part == 0 { try kafka.setLeader(of: 0, of: "t", to: 2) }
      if part == 1 { try kafka.setDown(2, true) }
      if part == 2 { try kafka.setDown(2, false) }
      if part == 0 { kafka.fail(.produce, times: 3, withError: 6) }
      try sink.pushUntilDone()
    }
    while let awaiting = try sink.settle() { _ = awaiting.isReady(within: 60) }
    #expect(statistics.deliveredMessages.load(ordering: .relaxed) == 3000)
    let found = try Self.read(&source, until: [expected.count])
    #expect(found[0] == expected)
  }

  @Test func `messages of any bytes and sizes arrive as they are`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("t", partitions: 1)
    var random = SeededGenerator()
    let messages: [[UInt8]?] =
      [nil, [], [0], Array(repeating: 0x0A, count: 3)]
      + (0..<50).map { _ in
        let count = Int.random(in: 1...20_000, using: &random)
        return (0..<count).map { _ in .random(in: 0...255, using: &random) }
      } + [Array(repeating: 0x41, count: 900_000)]
    try kafka.write(messages, to: "t")
    // Without the form of records, bytes are bytes.
    let expected = messages.compactMap(\.self).flatMap(\.self)
    var source = try Self.source(kafka, "t", Self.context(nil))
    #expect(try Self.read(&source, until: [expected.count])[0] == expected, "seed \(testSeed)")
  }

  @Test func `messages that the brokers have removed are a gap`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("t", partitions: 1)
    try kafka.write(["first"], to: "t")
    let first = try Self.source(kafka, "t")
    // The cluster keeps 5 MB.
    for _ in 0..<16 { try kafka.write([Array(repeating: 0x61, count: 500_000)], to: "t") }
    #expect(try kafka.watermarks("t").low > 0)
    let cursor = InputCursor(done: first.done)
    let failing = try Self.source(kafka, "t", at: cursor)
    #expect(failing.isChangedInPlace)
    let continuing = try Self.source(
      kafka, "t", at: cursor, KafkaSourceOptions(onGap: .continue))
    #expect(!continuing.isChangedInPlace)
    #expect(continuing.gap?.contains("were removed before they were read") == true)
    // During a run the error stops it.
    let lost = try KafkaConsumer(Self.connection(kafka, "t"), in: Self.context())
    try lost.start(0, at: 0)
    #expect(throws: FileError.self) {
      let deadline = ContinuousClock.now + .seconds(hangSeconds)
      while ContinuousClock.now < deadline {
        if try lost.first() == nil { _ = lost.awaiting.isReady(within: 1) } else { lost.take() }
      }
    }
  }

  @Test func `a message that is too large is told with its size`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("t", partitions: 1)
    var sink = KafkaSink(
      try KafkaProducer(
        Self.connection(kafka, "t", ["message.max.bytes=2000"]), in: Self.context(nil)),
      topic: "t", .frame, ends: nil)
    let error = #expect(throws: FileError.self) {
      try sink.write(Array(repeating: 0x61, count: 3000))
    }
    #expect(error?.description.contains("a message of 3000 bytes") == true, "\(error as Any)")
  }

  @Test func `a message that no broker stores in time fails the sink`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("t", partitions: 1)
    var sink = KafkaSink(
      try KafkaProducer(
        Self.connection(kafka, "t", ["message.timeout.ms=1000"]), in: Self.context(nil)),
      topic: "t", .frame, ends: nil)
    try kafka.setDown(1, true)
    try sink.write([0x61])
    let error = #expect(throws: FileError.self) {
      while let awaiting = try sink.settle() { _ = awaiting.isReady(within: 60) }
    }
    #expect(error?.description.contains("no broker stored a message") == true, "\(error as Any)")
  }

  @Test func `no secret is in an error, and a property of the file is read at the start`() throws {
    let kafka = try MockKafka()
    let directory = try TemporaryDirectory()
    let path = try directory.write("secret", Array("hidden\nmore\n".utf8))
    let property = try #require(KafkaProperty("sasl.password:file=\(path)"))
    #expect(try property.value(in: POSIXFileSystem()) == "hidden")
    let error = #expect(throws: FileError.self) {
      try KafkaProducer(
        Self.connection(
          kafka, "t",
          [
            "security.protocol=SASL_PLAINTEXT", "sasl.mechanisms=PLAIN", "sasl.username=me",
            "ssl.endpoint.identification.algorithm=hidden",
          ]), in: Self.context(nil))
    }
    #expect(error?.description.contains("hidden") == false)
    #expect(error?.description.contains("ssl.endpoint.identification.algorithm") == true)
  }
}
