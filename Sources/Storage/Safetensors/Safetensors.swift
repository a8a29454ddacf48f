internal import Records

/// The contents of a safetensors file: tensors by name, and a map of strings.
///
/// The format (github.com/huggingface/safetensors) has three parts:
/// - 8 bytes: the length N of the header, little-endian;
/// - N bytes: the header, a JSON object. It has an entry `{"dtype", "shape", "data_offsets"}` for each tensor name,
///   and strings under `__metadata__`;
/// - the data. The tensors cover it without holes or overlap.
package struct Safetensors: Sendable, Equatable {
  package var tensors: [String: Tensor]
  package var metadata: [String: String]

  /// The longest header that is read or written, in bytes.
  package static let headerLimit = 16 << 20
  /// The largest file that is read, in bytes.
  package static let fileLimit = 2 << 30

  static let metadataName = "__metadata__"

  package init(tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// The bytes of the file, in the layout of the reference implementation: the widest types first, then by name, the
  /// data aligned to 8 bytes. Equal values give equal bytes.
  ///
  /// - Throws: an error if the header would be longer than `headerLimit`.
  package func serialized() throws(ContentError) -> [UInt8] {
    let ranks = Dictionary(
      uniqueKeysWithValues: ElementType.allCases.enumerated().map { ($1, $0) })
    let ordered = tensors.sorted { left, right in
      let (a, b) = (ranks[left.value.elementType, default: 0], ranks[right.value.elementType] ?? 0)
      return a != b ? a < b : left.key.utf8.lexicographicallyPrecedes(right.key.utf8)
    }
    // JSONEncoder can only sort keys by name, so this code writes the outer object.
    var members: [String] = []
    if !metadata.isEmpty {
      members.append("\"\(Self.metadataName)\":\(try JSON.encode(metadata))")
    }
    var offset = 0
    for (name, tensor) in ordered {
      let end = offset + tensor.bytes.count
      let (type, shape) = (tensor.elementType.rawValue, try JSON.encode(tensor.shape))
      members.append(
        try JSON.encode(name)
          + #":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(offset),\#(end)]}"#)
      offset = end
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += Array(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= Self.headerLimit else {
      throw .unexpected(
        part: "header", expected: "at most \(Self.headerLimit) bytes",
        found: "\(header.count); are there too many features, or too long names?")
    }
    var bytes = littleEndianBytes(UInt64(header.count)) + header
    bytes.reserveCapacity(bytes.count + offset)
    for (_, tensor) in ordered { bytes += tensor.bytes }
    return bytes
  }
}

extension Safetensors {
  /// A vector of floating-point numbers, of any length.
  package func doubles(_ name: String) throws(ContentError) -> [Double] {
    guard let tensor = tensors[name], tensor.shape.count == 1, let doubles = tensor.doubles
    else { throw unexpected(name, expected: "numbers [d]") }
    return doubles
  }

  /// A tensor of floating-point numbers, row-major.
  package func doubles(_ name: String, shape: [Int]) throws(ContentError) -> [Double] {
    guard let tensor = tensors[name], tensor.shape == shape, let doubles = tensor.doubles
    else { throw unexpected(name, expected: "numbers \(shape)") }
    return doubles
  }

  /// A vector of `count` floating-point numbers.
  package func doubles(_ name: String, count: Int) throws(ContentError) -> [Double] {
    try doubles(name, shape: [count])
  }

  /// A tensor of integers, row-major.
  package func integers(_ name: String, shape: [Int]) throws(ContentError) -> [Int] {
    guard let tensor = tensors[name], tensor.shape == shape, let integers = tensor.integers
    else { throw unexpected(name, expected: "integers \(shape)") }
    return integers
  }

  /// One whole number, without dimensions or in a vector of one, as an integer or as a floating-point number.
  package func wholeNumber(_ name: String) throws(ContentError) -> Int {
    guard let tensor = tensors[name], [[], [1]].contains(tensor.shape),
      let value = tensor.integers?.first ?? tensor.doubles?.first.flatMap({ Int(exactly: $0) })
    else { throw unexpected(name, expected: "one whole number") }
    return value
  }

  /// An integer without dimensions.
  package func integer(_ name: String) throws(ContentError) -> Int {
    guard let tensor = tensors[name], tensor.shape.isEmpty, let integer = tensor.integers?.first
    else { throw unexpected(name, expected: "an integer []") }
    return integer
  }

  private func unexpected(_ name: String, expected: String) -> ContentError {
    let found = tensors[name].map { tensor in
      tensor.elementType == .u64 && tensor.integers == nil
        ? tensor.summary + " with a value of 2^63 or more" : tensor.summary
    }
    return .unexpected(
      part: "tensor \(quoted(name))", expected: expected, found: found ?? "nothing")
  }
}
