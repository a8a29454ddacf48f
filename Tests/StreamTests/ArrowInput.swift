import BatchNormalization
import Foundation
import Records

@testable import Codecs
@testable import Stream

/// Streams of Arrow for tests, and the messages in them.
enum ArrowInput {
  static func golden(_ name: String) throws -> [UInt8] {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "CodecsTests/Golden/arrow/" + name)
    return [UInt8](try Data(contentsOf: url))
  }

  struct Message {
    var kind: ArrowMessage.Kind
    var bytes: [UInt8]
  }

  static func messages(_ stream: [UInt8]) throws -> [Message] {
    var messages: [Message] = []
    var rest = stream.starts(with: ArrowFooter.magic) ? stream.dropFirst(8) : stream[...]
    while !rest.isEmpty {
      let bytes = Array(rest)
      let next = try FlatBytes.read(bytes) { view throws(RecordFault) -> Message? in
        guard
          case .message(let frame, let message) = try ArrowMessage.next(in: view, bodyLimit: .max)
        else { return nil }
        return Message(kind: message.kind, bytes: Array(bytes[..<frame.byteCount]))
      }
      guard let next else { break }
      messages.append(next)
      rest = rest.dropFirst(next.bytes.count)
    }
    return messages
  }

  /// A longer stream: the messages of a golden one again and again, with the dictionaries or without them.
  static func stream(_ name: String, times: Int, repeatsDictionaries: Bool) throws
    -> [UInt8]
  {
    let messages = try messages(golden(name))
    let again = messages.filter {
      $0.kind == .recordBatch || $0.kind == .dictionaryBatch && repeatsDictionaries
    }
    return messages.flatMap(\.bytes) + (1..<times).flatMap { _ in again.flatMap(\.bytes) }
  }

  /// A stream of two Float64 features in record batches of these numbers of rows. The values tell the row.
  static func batches(_ rows: [Int]) throws -> [UInt8] {
    var options = EncoderOptions(schema: try FeatureSchema(["x", "y"]), prologue: nil)
    options.precision = .float64
    let table = try ArrowTable(options)
    let output = ByteBuffer()
    output.append(ArrowMetadata.framed(table.schemaMessage))
    for count in rows {
      var columns = FeatureColumns(featureCount: 2, capacity: max(1, count), precision: .float64)
      columns.count = count
      columns.withFloat64Columns { values in
        for row in 0..<count { (values[row], values[count + row]) = (Double(row), Double(row % 7)) }
      }
      table.appendBatch(RecordBlock(columns: columns), to: output)
    }
    return Array(output.readable) + ArrowEncoder.endMark
  }

  /// The custom metadata of a message.
  static func customMetadata(_ message: [UInt8]) throws -> [String: String] {
    try FlatBytes.read(ArrowMetadata.firstMessage(of: message)) { view throws(RecordFault) in
      guard let pairs = try ArrowMessage(view, bodyLimit: .max).table.vector(4, stride: 4) else {
        return [:]
      }
      var found: [String: String] = [:]
      for index in 0..<pairs.count {
        let pair = try pairs.table(index)
        found[try pair.string(0, limit: 1000) ?? ""] = try pair.string(1, limit: 100_000)
      }
      return found
    }
  }
}

/// A stream between two formats whose features stay as they are.
func betweenFormats(
  _ input: RecordFormat, _ output: RecordFormat, _ features: [String],
  _ change: (inout StreamConfiguration) -> Void = { _ in }
) -> StreamConfiguration {
  var configuration = StreamConfiguration(name: "test", format: input)
  configuration.outputFormat = output
  configuration.decoder.features = features.map { FeaturePattern($0) }
  configuration.normalization.isFrozen = true
  configuration.normalization.epsilon = .absolute(0)
  configuration.normalization.clip = nil
  configuration.batch.size = 3
  change(&configuration)
  return configuration
}
