/// The key of a record, as the key columns spell it: which device, site or ticker the record is of.
///
/// A key of several columns is their values, in the order of the setting, with `separator` between them. A record has no
/// usable key if a value is empty, contains the separator, or if all together are longer than `longest`.
package struct RecordKey: Sendable {
  /// In bytes.
  package static let longest = 256
  package static let mostColumns = 8
  package static let separator: UInt8 = 0x1F

  // In place, so that no record allocates memory. The values are in the order in which they came.
  private var bytes = InlineArray<256, UInt8>(repeating: 0)
  private var starts = InlineArray<8, Int>(repeating: 0)
  private var ends = InlineArray<8, Int>(repeating: 0)
  private var length = 0
  /// The number of columns that have a value.
  private var columnCount = 0
  private var isUsable = true

  package init() {}

  /// Whether there is a value of each column, and a key of all.
  package var isKey: Bool { isUsable && columnCount > 0 }

  /// Sets the value of a column.
  ///
  /// - Parameter place: the number of the column in the setting, from 0.
  package mutating func set(_ value: Span<UInt8>, at place: Int) {
    guard isUsable, !value.isEmpty, length + columnCount + value.count <= Self.longest else {
      isUsable = false
      return
    }
    starts[place] = length
    for index in value.indices {
      if value[index] == Self.separator { isUsable = false }
      bytes[length] = value[index]
      length += 1
    }
    ends[place] = length
    columnCount += 1
  }

  /// The same, of an array.
  package mutating func set(_ value: [UInt8], at place: Int) { set(value.span, at: place) }

  /// Appends the key to bytes; nothing if it is not usable.
  func append(to keys: inout [UInt8]) {
    guard isUsable else { return }
    for place in 0..<columnCount {
      if place > 0 { keys.append(Self.separator) }
      for index in starts[place]..<ends[place] { keys.append(bytes[index]) }
    }
  }

  /// The bytes of a key with these values; nil if it is not usable.
  package static func bytes(of values: [[UInt8]]) -> [UInt8]? {
    guard values.count <= mostColumns else { return nil }
    var key = RecordKey()
    for (place, value) in values.enumerated() { key.set(value, at: place) }
    var bytes: [UInt8] = []
    key.append(to: &bytes)
    return bytes.isEmpty ? nil : bytes
  }

  /// The values of the columns of a key.
  package static func values(of key: some Sequence<UInt8>) -> [OpaqueBytes] {
    key.split(separator: separator, omittingEmptySubsequences: false)
      .map { OpaqueBytes(Array($0)) }
  }

  /// The key as a person reads it: its values with commas between them.
  package static func text(of key: some Sequence<UInt8>) -> String {
    values(of: key).map(\.text).joined(separator: ",")
  }
}

extension RecordKey: Equatable {
  package static func == (left: RecordKey, right: RecordKey) -> Bool {
    var keys: (left: [UInt8], right: [UInt8]) = ([], [])
    left.append(to: &keys.left)
    right.append(to: &keys.right)
    return keys.left == keys.right
  }
}

/// The keys of the records of a block, one after another.
package struct KeyBytes: Sendable {
  private var bytes: [UInt8] = []
  /// The end of the key of each record.
  private var ends: [Int] = []

  package init() {}

  /// The memory, in bytes.
  var byteCount: Int { bytes.count + ends.count * MemoryLayout<Int>.stride }

  /// The key of a record; empty if it has none that is usable.
  package subscript(record: Int) -> ArraySlice<UInt8> {
    bytes[(record == 0 ? 0 : ends[record - 1])..<ends[record]]
  }

  /// Sets the key of a record. Those of later records are forgotten.
  mutating func set(_ key: RecordKey, of record: Int) {
    truncate(to: record)
    key.append(to: &bytes)
    ends.append(bytes.count)
  }

  /// Copies the keys of some records of another block, to `start` and after it.
  mutating func copy(_ records: Range<Int>, of other: KeyBytes, to start: Int) {
    truncate(to: start)
    for record in records {
      bytes.append(contentsOf: other[record])
      ends.append(bytes.count)
    }
  }

  private mutating func truncate(to count: Int) {
    precondition(count <= ends.count, "records with and without a key")
    guard count < ends.count else { return }
    bytes.removeLast(bytes.count - (count == 0 ? 0 : ends[count - 1]))
    ends.removeLast(ends.count - count)
  }
}

/// A key in JSON: the value of its column, or an array with those of several columns.
package struct KeyName: Sendable, Equatable, Codable {
  package var values: [OpaqueBytes]

  /// - Parameter key: the bytes of a key.
  package init(_ key: some Sequence<UInt8>) {
    values = RecordKey.values(of: key)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let values = try? container.decode([OpaqueBytes].self) {
      self.values = values
    } else {
      values = [try container.decode(OpaqueBytes.self)]
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if values.count == 1 { try container.encode(values[0]) } else { try container.encode(values) }
  }
}
