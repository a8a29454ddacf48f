internal import Records

/// Long bytes of a cursor, such as the dictionaries of Arrow, are tensors of type U8: the header of the file is bounded,
/// and would have them as hexadecimal digits.
extension InputCursor {
  /// The most bytes that stay in the header.
  private static let mostInHeader = 64 << 10

  private static let prologueName = "evenkeel.input.prologue"

  private static func decoderName(_ split: Int) -> String { "evenkeel.input.decoder.\(split)" }

  /// The cursor without its long bytes, and these as tensors.
  func separated() -> (InputCursor, [String: Safetensors.Tensor]) {
    var rest = self
    var tensors: [String: Safetensors.Tensor] = [:]
    if let prologue = opening?.prologue, prologue.count > Self.mostInHeader {
      tensors[Self.prologueName] = Self.tensor(prologue)
      rest.opening?.prologue = []
    }
    for (index, split) in splits.enumerated() where split.decoder.bytes.count > Self.mostInHeader {
      tensors[Self.decoderName(index)] = Self.tensor(split.decoder.bytes)
      rest.splits[index].decoder = OpaqueBytes()
    }
    return (rest, tensors)
  }

  /// Takes the long bytes from the tensors of a file.
  mutating func join(_ tensors: [String: Safetensors.Tensor]) throws(ContentError) {
    if let bytes = try Self.bytes(tensors, Self.prologueName) { opening?.prologue = bytes }
    for index in splits.indices {
      if let bytes = try Self.bytes(tensors, Self.decoderName(index)) {
        splits[index].decoder = OpaqueBytes(bytes)
      }
    }
  }

  private static func tensor(_ bytes: [UInt8]) -> Safetensors.Tensor {
    Safetensors.Tensor(elementType: .u8, shape: [bytes.count], bytes: bytes[...])
  }

  private static func bytes(
    _ tensors: [String: Safetensors.Tensor], _ name: String
  ) throws(ContentError) -> [UInt8]? {
    guard let tensor = tensors[name] else { return nil }
    guard tensor.elementType == .u8, tensor.shape.count == 1 else {
      throw .unexpected(part: name, expected: "bytes, U8 [n]", found: tensor.summary)
    }
    return Array(tensor.bytes)
  }
}
