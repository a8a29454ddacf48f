extension Safetensors {
  /// Reads the bytes of a file, which may be hostile: every length, offset and shape is checked
  /// before it is used, and the memory taken is bounded by a multiple of the file's size.
  package init(serialized file: [UInt8]) throws(ContentError) {
    let header = try Self.headerRange(of: file)
    guard let first = file[header].first, first == UInt8(ascii: "{") else {
      throw .unexpected(part: "header", expected: "a JSON object", found: "something else")
    }
    let limits = JSONLimits(depth: 4, values: 1_000_000)
    guard var members = try JSON(parsing: file[header], limits: limits).object else {
      throw .unexpected(part: "header", expected: "a JSON object", found: "something else")
    }
    metadata = [:]
    if let value = members.removeValue(forKey: Self.metadataName) {
      guard let strings = value.strings else {
        throw .unexpected(
          part: Self.metadataName, expected: "a map of strings to strings", found: value.summary)
      }
      metadata = strings
    }
    let data = file[header.upperBound...]
    var entries: [Entry] = []
    for (name, value) in members { entries.append(try Entry(name: name, value, data: data.count)) }
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

  /// Where in the file its header stands.
  static func headerRange(of file: [UInt8]) throws(ContentError) -> Range<Int> {
    guard file.count >= 8 else {
      throw .unexpected(
        part: "file", expected: "a safetensors file of 8 bytes or more", found: "\(file.count)")
    }
    let length = file[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
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

/// What the header says of one tensor, checked.
private struct Entry {
  let name: String
  var elementType = Safetensors.ElementType.f64
  var shape: [Int] = []
  /// In bytes from the start of the data.
  var offsets = 0..<0

  /// - Parameter size: the number of bytes of data in the file.
  init(name: String, _ value: JSON, data size: Int) throws(ContentError) {
    self.name = name
    guard let members = value.object else { throw unexpected("an object", value.summary) }
    guard let type = members["dtype"]?.string, let known = Safetensors.ElementType(rawValue: type)
    else {
      let types = Safetensors.ElementType.allCases.map(\.rawValue).joined(separator: ", ")
      throw unexpected("a dtype (\(types))", members["dtype"]?.summary ?? "nothing")
    }
    elementType = known
    shape = try dimensions(members["shape"])
    offsets = try range(members["data_offsets"], data: size)
    let byteCount = try byteCount()
    guard offsets.count == byteCount else {
      throw unexpected(
        "\(byteCount) bytes for \(elementType.rawValue) \(shape)", "\(offsets.count) bytes")
    }
  }

  private func dimensions(_ value: JSON?) throws(ContentError) -> [Int] {
    guard let elements = value?.array, elements.count <= 64 else {
      throw unexpected("a shape of at most 64 dimensions", value?.summary ?? "nothing")
    }
    var shape: [Int] = []
    for element in elements {
      guard let dimension = element.integer, dimension >= 0 else {
        throw unexpected("a shape of integers of 0 or more", element.summary)
      }
      shape.append(dimension)
    }
    return shape
  }

  private func range(_ value: JSON?, data size: Int) throws(ContentError) -> Range<Int> {
    guard let elements = value?.array, elements.count == 2, let start = elements[0].integer,
      let end = elements[1].integer
    else { throw unexpected("two data_offsets", value?.summary ?? "nothing") }
    guard 0 <= start, start <= end, end <= size else {
      throw unexpected("data_offsets that rise within the \(size) bytes of data", "\([start, end])")
    }
    return start..<end
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
