internal import Records

extension Safetensors {
  /// Reads the bytes of a file, which may be hostile. Checks every length, offset and shape before it uses it. The
  /// memory is at most a multiple of the file's size.
  package init(serialized file: [UInt8]) throws(ContentError) {
    let header = try Self.headerRange(of: file)
    guard let first = file[header].first, first == UInt8(ascii: "{") else {
      throw .unexpected(part: "header", expected: "a JSON object", found: "something else")
    }
    let decoded = try JSON.decode(Header.self, from: file[header], part: "header")
    metadata = decoded.metadata
    let data = file[header.upperBound...]
    var entries: [Entry] = []
    for (name, description) in decoded.tensors {
      entries.append(try Entry(name: name, description, data: data.count))
    }
    entries.sort {
      ($0.offsets.lowerBound, $0.offsets.upperBound, $0.name) < (
        $1.offsets.lowerBound, $1.offsets.upperBound, $1.name
      )
    }
    tensors = [:]
    var end = 0
    for entry in entries {
      guard entry.offsets.lowerBound == end else {
        throw entry.unexpected(
          "data from byte \(end), without a hole or overlap", "byte \(entry.offsets.lowerBound)")
      }
      end = entry.offsets.upperBound
      let start = data.startIndex + entry.offsets.lowerBound
      tensors[entry.name] = Tensor(
        elementType: entry.elementType, shape: entry.shape,
        bytes: data[start..<data.startIndex + end])
    }
    guard end == data.count else {
      throw .unexpected(
        part: "data", expected: "\(end) bytes as the header says", found: "\(data.count)")
    }
  }

  /// The range of the header in the file.
  static func headerRange(of file: [UInt8]) throws(ContentError) -> Range<Int> {
    guard file.count >= 8 else {
      throw .unexpected(
        part: "file", expected: "a safetensors file of 8 bytes or more", found: "\(file.count)")
    }
    if let other = foreignName(of: file) {
      throw .unexpected(
        part: "file", expected: "a safetensors file",
        found:
          "\(other); save the state with safetensors, or its statistics as JSON (docs/CHECKPOINTS.md)"
      )
    }
    let length = file[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    // The header, which follows its length, is an object of JSON.
    guard file.count == 8 || file[file.startIndex + 8] == UInt8(ascii: "{") else {
      throw .unexpected(
        part: "file", expected: "a safetensors file",
        found: file.first == UInt8(ascii: "{")
          ? "JSON (import --from json reads it)" : "a file of another kind")
    }
    guard length <= headerLimit else {
      throw .unexpected(
        part: "header", expected: "a safetensors header of at most \(headerLimit) bytes",
        found: "a length of \(length)")
    }
    guard Int(length) <= file.count - 8 else {
      throw .unexpected(
        part: "header", expected: "\(length) bytes as its length says", found: "\(file.count - 8)")
    }
    return 8..<8 + Int(length)
  }
}

/// The name of another kind of file with weights of a model, by its first bytes.
private func foreignName(of file: [UInt8]) -> String? {
  let pickle: [UInt8] = [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46]
  if file.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return "a zip archive of torch.save or Keras" }
  if file.starts(with: pickle) { return "a file of torch.save" }
  return file.starts(with: [0x89, 0x48, 0x44, 0x46]) ? "an HDF5 file of Keras" : nil
}

/// The header's JSON.
private struct Header: Decodable {
  struct Tensor: Decodable {
    let dtype: String
    let shape: [Int]
    let offsets: [Int]

    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case offsets = "data_offsets"
    }
  }

  /// `__metadata__`, or a tensor's name.
  struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  var metadata: [String: String] = [:]
  var tensors: [String: Tensor] = [:]

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: Name.self)
    for name in members.allKeys {
      if name.stringValue == Safetensors.metadataName {
        metadata = try members.decode([String: String].self, forKey: name)
      } else {
        tensors[name.stringValue] = try members.decode(Tensor.self, forKey: name)
      }
    }
  }
}

/// One tensor of the header, checked.
private struct Entry {
  let name: String
  var elementType = Safetensors.ElementType.f64
  let shape: [Int]
  /// In bytes from the start of the data.
  var offsets = 0..<0

  /// - Parameter size: the number of data bytes in the file.
  init(name: String, _ tensor: Header.Tensor, data size: Int) throws(ContentError) {
    self.name = name
    shape = tensor.shape
    guard let type = Safetensors.ElementType(rawValue: tensor.dtype) else {
      let types = Safetensors.ElementType.allCases.map(\.rawValue).joined(separator: ", ")
      throw unexpected("a dtype (\(types))", quoted(tensor.dtype))
    }
    elementType = type
    guard shape.count <= 64 else {
      throw unexpected("a shape of at most 64 dimensions", "\(shape.count)")
    }
    if let negative = shape.first(where: { $0 < 0 }) {
      throw unexpected("a shape of integers of 0 or more", "\(negative)")
    }
    guard tensor.offsets.count == 2 else {
      throw unexpected("two data_offsets", "\(tensor.offsets.count)")
    }
    let (start, end) = (tensor.offsets[0], tensor.offsets[1])
    guard 0 <= start, start <= end, end <= size else {
      throw unexpected("data_offsets that rise within the \(size) bytes of data", "\([start, end])")
    }
    offsets = start..<end
    let byteCount = try byteCount()
    guard offsets.count == byteCount else {
      throw unexpected(
        "\(byteCount) bytes for \(elementType.rawValue) \(shape)", "\(offsets.count) bytes")
    }
  }

  private func byteCount() throws(ContentError) -> Int {
    var count = elementType.byteCount
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw unexpected("a shape that fits into memory", "\(shape)") }
      count = product
    }
    return count
  }

  func unexpected(_ expected: String, _ found: String) -> ContentError {
    .unexpected(part: "tensor \(quoted(name))", expected: expected, found: found)
  }
}
