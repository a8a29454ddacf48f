/// The names of keys, as bytes, one for each row of the groups that have a row a key.
///
/// They are in one array, so that a million keys are not a million allocations.
package struct KeyNames: Sendable {
  private var bytes: [UInt8] = []
  private var starts: [Int] = []
  private var lengths: [UInt16] = []
  /// The bytes in the array that belong to no key any more.
  private var unusedCount = 0

  package init() {}

  package var count: Int { starts.count }

  package subscript(row: Int) -> ArraySlice<UInt8> {
    bytes[starts[row]..<starts[row] + Int(lengths[row])]
  }

  package mutating func append(_ name: some Collection<UInt8>) {
    starts.append(bytes.count)
    lengths.append(UInt16(name.count))
    bytes.append(contentsOf: name)
  }

  /// Forgets all names, and keeps the memory.
  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    starts.removeAll(keepingCapacity: true)
    lengths.removeAll(keepingCapacity: true)
    unusedCount = 0
  }

  mutating func replace(_ row: Int, with name: some Collection<UInt8>) {
    unusedCount += Int(lengths[row])
    starts[row] = bytes.count
    lengths[row] = UInt16(name.count)
    bytes.append(contentsOf: name)
    compactIfWorthIt()
  }

  /// Removes a row. The last one takes its place.
  mutating func remove(_ row: Int) {
    unusedCount += Int(lengths[row])
    starts[row] = starts[count - 1]
    lengths[row] = lengths[count - 1]
    starts.removeLast()
    lengths.removeLast()
    compactIfWorthIt()
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
    left.count == right.count && (0..<left.count).allSatisfy { left[$0] == right[$0] }
  }
}
