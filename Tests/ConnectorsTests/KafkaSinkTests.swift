import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// The sink of topics, over a target in memory.
@Suite struct KafkaSinkTests {
  /// Keeps messages, up to a number of those that nobody has stored.
  private final class MemoryTarget: MessageTarget, @unchecked Sendable {
    // @unchecked because one test uses it.
    private(set) var sent: [OutgoingMessage] = []
    var messages: [[UInt8]] { sent.map { Array($0.value) } }
    private let room: Int
    private var stored = 0
    var failure: FileError?

    init(room: Int = .max) { self.room = room }

    var unstored: Int { sent.count - stored }
    var awaiting: Awaiting { Awaiting(nil, seconds: 1) }

    func send(_ message: OutgoingMessage) throws(FileError) -> Bool {
      guard unstored < room else { return false }
      sent.append(message)
      return true
    }

    func takeReports() throws(FileError) { if let failure { throw failure } }
    func store(_ count: Int) { stored += count }
    var texts: [String] { messages.map { String(decoding: $0, as: UTF8.self) } }
  }

  @Test func `each record is a message, without its line end`() throws {
    let target = MemoryTarget()
    var csv = KafkaSink(target, topic: "t", .message, ends: .lines(quote: UInt8(ascii: "\"")))
    try csv.begin(Array("a,b\n".utf8))
    try csv.write(Array("1,\"x\ny\"\r\n\n2,z\n3".utf8), records: 3)
    #expect(target.texts == ["1,\"x\ny\"", "2,z", "3"])
    let rows = MemoryTarget()
    var raw = KafkaSink(rows, topic: "t", .message, ends: .rows(byteCount: 0))
    try raw.write(Array("abcdefghi".utf8), records: 3)
    #expect(rows.texts == ["abc", "def", "ghi"])
  }

  @Test func `a frame is a write, and a message of Arrow is a whole stream`() throws {
    let frames = MemoryTarget()
    var frame = KafkaSink(frames, topic: "t", .frame, ends: nil)
    try frame.begin(Array("head".utf8))
    try frame.write(Array("1\n2\n".utf8), records: 2)
    #expect(frames.texts == ["1\n2\n"])
    let streams = MemoryTarget()
    var arrow = KafkaSink(streams, topic: "t", .message, ends: .arrowMessages)
    try arrow.begin(Array("[".utf8), endingWith: FixedEpilogue(Array("]".utf8)))
    try arrow.write(pieces: [Array("1".utf8), Array("2".utf8)])
    arrow.changePrologue(to: Array("{".utf8))
    try arrow.write(Array("3".utf8), records: 1)
    #expect(streams.texts == ["[12]", "{3]"])
  }

  private static func origins(_ count: Int) -> [MessageOrigin] {
    (0..<count).map { MessageOrigin(partition: $0 % 2, offset: $0) }
  }

  @Test func `each record has the message that it came in, or none is sent`() throws {
    let quote = UInt8(ascii: "\"")
    for (ends, text, values) in [
      (RecordEnds.lines(quote: quote), "1,\"x\ny\"\r\n\n2\n \n", ["1,\"x\ny\"", "2", " "]),
      (.lines(quote: nil), "{}\n \t\n{\"a\":1}\n\n", ["{}", "{\"a\":1}"]),
      (.rows(byteCount: 0), "abcdefghi", ["abc", "def", "ghi"]),
      (.lines(quote: quote), "1\n\n2\n", ["1", "", "2"]),
    ] {
      let target = MemoryTarget()
      var sink = KafkaSink(target, topic: "t", .message, ends: ends)
      #expect(sink.keepsOrigins)
      let origins = Self.origins(values.count)
      try sink.write([Array(text.utf8)], of: origins)
      #expect(target.texts == values)
      #expect(target.sent.map(\.origin) == origins)
      #expect(throws: FileError.self) {
        try sink.write([Array(text.utf8)], of: Self.origins(values.count + 2))
      }
      #expect(target.sent.count == values.count)
    }
    let target = MemoryTarget()
    var arrow = KafkaSink(target, topic: "t", .message, ends: .arrowMessages)
    try arrow.begin(Array("[".utf8), endingWith: FixedEpilogue(Array("]".utf8)))
    try arrow.write([Array("1".utf8), Array("2".utf8)], of: Self.origins(2))
    #expect(target.texts == ["[1]", "[2]"])
    #expect(!KafkaSink(target, topic: "t", .frame, ends: nil).keepsOrigins)
  }

  @Test func `a dead letter is the message as it came, with its fault`() throws {
    let target = MemoryTarget(room: 1)
    var sink = KafkaSink(target, topic: "t", .message, ends: nil)
    var origin = MessageOrigin(partition: 1, offset: 7)
    try sink.write(refused: Array("own\n".utf8), of: origin, because: "first")
    origin.lacksLineEnd = true
    try sink.write(refused: Array("added\n".utf8), of: origin, because: "second")
    try sink.write(refused: Array("no message\n".utf8), of: nil, because: "third")
    while try sink.push() != nil { target.store(1) }
    #expect(target.texts == ["own\n", "added", "no message"])
    #expect(target.sent.map(\.fault) == ["first", "second", "third"])
    #expect(target.sent.map(\.origin) == [MessageOrigin(partition: 1, offset: 7), origin, nil])
  }

  @Test func `attributes give back every key and header`() throws {
    var random = SeededGenerator()
    func some() -> [UInt8]? {
      guard Int.random(in: 0..<4, using: &random) > 0 else { return nil }
      let count = Int.random(in: 0...300, using: &random)
      return (0..<count).map { _ in .random(in: 0...255, using: &random) }
    }
    for _ in 0..<200 {
      let key = some()
      let headers = (0..<Int.random(in: 0...4, using: &random)).map { _ in (some() ?? [1], some()) }
      var attributes = MessageAttributes()
      key?.withUnsafeBytes { attributes.setKey($0) }
      for (name, value) in headers {
        name.withUnsafeBytes { name in
          guard let value else { return attributes.add(name, nil) }
          value.withUnsafeBytes { attributes.add(name, $0) }
        }
      }
      let copy = MessageAttributes(attributes.bytes)
      #expect(copy.key.map { Array(copy.bytes[$0]) } == key)
      var found: [([UInt8], [UInt8]?)] = []
      copy.forEachHeader { name, value in
        found.append((Array(copy.bytes[name]), value.map { Array(copy.bytes[$0]) }))
      }
      #expect(found.map(\.0) == headers.map(\.0), "seed \(testSeed)")
      #expect(found.map(\.1) == headers.map(\.1), "seed \(testSeed)")
    }
    #expect(MessageAttributes().bytes.isEmpty)
    #expect(MessageAttributes([1, 2]).key == nil)
  }

  @Test func `a full target holds a write back, and a checkpoint waits until all is stored`() throws
  {
    let target = MemoryTarget(room: 2)
    var sink = KafkaSink(target, topic: "t", .message, ends: .lines(quote: nil))
    try sink.write(Array("1\n2\n3\n4\n5\n".utf8), records: 5)
    #expect(try sink.push() != nil)
    #expect(target.messages.count == 2)
    target.store(2)
    #expect(try sink.push() != nil)
    target.store(2)
    #expect(try sink.push() == nil)
    #expect(target.texts == ["1", "2", "3", "4", "5"])
    #expect(sink.attention != nil)
    #expect(try sink.settle() != nil)
    target.store(1)
    #expect(try sink.settle() == nil)
    #expect(sink.attention == nil)
    target.failure = FileError(operation: .write, path: "t", reason: "no broker")
    #expect(throws: FileError.self) { try sink.push() }
  }
}
