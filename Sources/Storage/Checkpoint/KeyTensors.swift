internal import Records
internal import State

// The names of keys as two tensors: the bytes of all, and where each begins and the last ends.

extension StateTable {
  static let keyBytesName = "evenkeel.keys.bytes"
  static let keyOffsetsName = "evenkeel.keys.offsets"

  /// The names of the keys as tensors; none without keys.
  var keyTensors: [String: Safetensors.Tensor] {
    guard keyCount > 0 else { return [:] }
    var bytes: [UInt8] = []
    var offsets = [0]
    offsets.reserveCapacity(keyCount + 1)
    for row in 0..<keyCount {
      bytes.append(contentsOf: keys[row])
      offsets.append(bytes.count)
    }
    return [
      Self.keyBytesName: .init(elementType: .u8, shape: [bytes.count], bytes: bytes[...]),
      Self.keyOffsetsName: .init(offsets),
    ]
  }
}

extension Safetensors {
  /// The names of the keys of a state; none if the file has no keys.
  func keyNames() throws(ContentError) -> KeyNames {
    var names = KeyNames()
    guard let offsets = tensors[StateTable.keyOffsetsName] else { return names }
    guard let bytes = tensors[StateTable.keyBytesName], bytes.elementType == .u8,
      let ends = offsets.integers, ends.first == 0, ends.last == bytes.count
    else {
      throw .unexpected(
        part: "keys", expected: "offsets from 0 to the number of bytes of the names",
        found: "others")
    }
    var known: Set<ArraySlice<UInt8>> = []
    for (start, end) in zip(ends, ends.dropFirst()) {
      guard start < end, end - start <= RecordKey.longest, end <= bytes.count else {
        throw .unexpected(
          part: "keys", expected: "names of 1 to \(RecordKey.longest) bytes",
          found: "one from \(start) to \(end)")
      }
      let name = bytes.bytes[bytes.bytes.startIndex + start..<bytes.bytes.startIndex + end]
      guard known.insert(name).inserted else {
        throw .unexpected(
          part: "keys", expected: "each name once",
          found: "\(quoted(RecordKey.text(of: name))) twice")
      }
      names.append(name)
    }
    return names
  }
}
