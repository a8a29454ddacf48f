/// The names of keys, as bytes, one for each row of the groups that have a row a key.
///
/// They are in one array, so that a million keys are not a million allocations.
package struct KeyNames: Sendable {
  private var bytes: [UInt8] = []
  /// The start and the length of each name: one look in memory finds both.
  private var spans: [UInt64] = []
  /// The bytes in the array that belong to no key any more.
  private var unusedCount = 0

  package init() {}

  package var count: Int { spans.count }

  package subscript(row: Int) -> ArraySlice<UInt8> { bytes[range(spans[row])] }

  package mutating func append(_ name: ArraySlice<UInt8>) {
    spans.append(Self.span(bytes.count, name.count))
    bytes.append(contentsOf: name)
  }

  mutating func append(_ name: UnsafeRawBufferPointer) {
    spans.append(Self.span(bytes.count, name.count))
    bytes.append(contentsOf: name)
  }

  /// Whether a name is that of a row of another list.
  func isEqual(_ row: Int, _ other: KeyNames, _ otherRow: Int) -> Bool {
    let others = other.range(other.spans[otherRow])
    return other.bytes.withUnsafeBytes { bytes in
      isEqual(row, UnsafeRawBufferPointer(rebasing: bytes[others]))
    }
  }

  func isEqual(_ row: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    let own = range(spans[row])
    guard own.count == name.count else { return false }
    return bytes.withUnsafeBytes { bytes in
      var place = 0
      // Eight bytes at once.
      while place + 8 <= name.count {
        let word = bytes.loadUnaligned(fromByteOffset: own.lowerBound + place, as: UInt64.self)
        if word != name.loadUnaligned(fromByteOffset: place, as: UInt64.self) { return false }
        place += 8
      }
      while place < name.count {
        if bytes[own.lowerBound + place] != name[place] { return false }
        place += 1
      }
      return true
    }
  }

  /// The names of some rows.
  func keeping(_ rows: [Int32]) -> KeyNames {
    var kept = KeyNames()
    kept.spans.reserveCapacity(rows.count)
    bytes.withUnsafeBytes { bytes in
      for row in rows {
        kept.append(UnsafeRawBufferPointer(rebasing: bytes[range(spans[Int(row)])]))
      }
    }
    return kept
  }

  /// Forgets all names, and keeps the memory.
  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    spans.removeAll(keepingCapacity: true)
    unusedCount = 0
  }

  mutating func replace(_ row: Int, with name: ArraySlice<UInt8>) {
    unusedCount += range(spans[row]).count
    spans[row] = Self.span(bytes.count, name.count)
    bytes.append(contentsOf: name)
    compactIfWorthIt()
  }

  /// Removes a row. The last one takes its place.
  mutating func remove(_ row: Int) {
    unusedCount += range(spans[row]).count
    spans[row] = spans[count - 1]
    spans.removeLast()
    compactIfWorthIt()
  }

  private static func span(_ start: Int, _ length: Int) -> UInt64 {
    precondition(length < 1 << 16)
    return UInt64(start) << 16 | UInt64(length)
  }

  private func range(_ span: UInt64) -> Range<Int> {
    let start = Int(span >> 16)
    return start..<start + Int(span & 0xFFFF)
  }

  private mutating func compactIfWorthIt() {
    guard unusedCount > bytes.count / 2, unusedCount > 4096 else { return }
    var kept = KeyNames()
    for row in 0..<count { kept.append(self[row]) }
    self = kept
  }
}

extension KeyNames: Equatable {
  /// Two lists are equal if they have the same names in the same order.
  package static func == (left: KeyNames, right: KeyNames) -> Bool {
    left.count == right.count && (0..<left.count).allSatisfy { left.isEqual($0, right, $0) }
  }
}
