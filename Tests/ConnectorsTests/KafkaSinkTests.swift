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
    private(set) var messages: [[UInt8]] = []
    private let room: Int
    private var stored = 0
    var failure: FileError?

    init(room: Int = .max) { self.room = room }

    var unstored: Int { messages.count - stored }
    var awaiting: Awaiting { Awaiting(nil, seconds: 1) }

    func send(_ message: ArraySlice<UInt8>) throws(FileError) -> Bool {
      guard unstored < room else { return false }
      messages.append(Array(message))
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
