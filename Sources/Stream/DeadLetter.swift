internal import Codecs
internal import FoundationEssentials

/// A rejected record as a line of NDJSON.
struct DeadLetter {
  private struct Fields: Encodable {
    var stream: String
    /// The file or the connection; nil if the stream has only one.
    var split: String?
    var record: Int
    /// Absent if it is not known any more.
    var byteOffset: Int?
    var expected: String
    var found: String
    /// The record as text, if it is UTF-8. Otherwise `base64` contains it. Absent for a row of Arrow, which has no
    /// bytes of its own.
    var text: String?
    var base64: String?

    enum CodingKeys: String, CodingKey {
      case stream, split, record
      case byteOffset = "byte_offset"
      case expected, found, text, base64
    }
  }

  let line: [UInt8]

  init(_ rejected: RejectedRecord, stream: String) {
    let text = String(validating: rejected.bytes, as: UTF8.self)
    let fields = Fields(
      stream: stream, split: rejected.split.isEmpty ? nil : rejected.split,
      record: rejected.record, byteOffset: rejected.byteOffset,
      expected: rejected.fault.expected, found: rejected.fault.found,
      text: rejected.bytes.isEmpty ? nil : text,
      base64: text == nil ? Data(rejected.bytes).base64EncodedString() : nil)
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and integers can always be encoded.
    let object = (try? encoder.encode(fields)) ?? Data("{}".utf8)
    line = Array(object) + [0x0A]
  }
}
