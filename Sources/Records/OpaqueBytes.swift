/// Bytes that only their writer understands. In JSON they are a string if they are UTF-8, otherwise `{"hex": "…"}`.
package struct OpaqueBytes: Sendable, Equatable {
  package var bytes: [UInt8]

  package init(_ bytes: [UInt8] = []) {
    self.bytes = bytes
  }

  package init(_ text: String) {
    bytes = Array(text.utf8)
  }

  /// The bytes as text. Invalid UTF-8 is replaced.
  package var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension OpaqueBytes: Codable {
  private enum CodingKeys: CodingKey {
    case hex
  }

  package init(from decoder: any Decoder) throws {
    if let text = try? decoder.singleValueContainer().decode(String.self) {
      self.init(text)
      return
    }
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let digits = Array(try container.decode(String.self, forKey: .hex).utf8)
    let bytes = stride(from: 0, to: digits.count - digits.count % 2, by: 2).compactMap {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
    }
    guard 2 * bytes.count == digits.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .hex, in: container, debugDescription: "expected pairs of hexadecimal digits")
    }
    self.init(bytes)
  }

  package func encode(to encoder: any Encoder) throws {
    if let text = String(validating: bytes, as: UTF8.self) {
      var container = encoder.singleValueContainer()
      try container.encode(text)
      return
    }
    var container = encoder.container(keyedBy: CodingKeys.self)
    let digits = Array("0123456789abcdef".utf8)
    let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    try container.encode(String(decoding: hex, as: UTF8.self), forKey: .hex)
  }
}
