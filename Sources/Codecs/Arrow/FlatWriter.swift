/// Writes flatbuffer objects one after another, and sets the offsets to an object after it has been written.
struct FlatWriter {
  private(set) var bytes: [UInt8]

  init(_ bytes: [UInt8] = []) {
    self.bytes = bytes
  }

  var count: Int { bytes.count }

  mutating func append(_ value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  mutating func append(_ others: some Collection<UInt8>) {
    bytes.append(contentsOf: others)
  }

  /// Adds zeros until the count is a multiple of `alignment`.
  mutating func pad(to alignment: Int) {
    bytes.append(contentsOf: repeatElement(0, count: -bytes.count & (alignment - 1)))
  }

  /// The number of 8 bytes at `place`.
  func integer(at place: Int) -> Int {
    (0..<8).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
  }

  /// Overwrites a number.
  mutating func set(_ value: some FixedWidthInteger, at place: Int) {
    for index in 0..<value.bitWidth / 8 {
      bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }

  /// Makes the offset at `place` point to `target`, which is after it.
  mutating func setOffset(at place: Int, to target: Int) {
    precondition(place < target)
    set(UInt32(target - place), at: place)
  }

  /// Appends a vtable, and a table of `tableBytes` zeros with its fields at `offsets`. Aligns the table to 8.
  ///
  /// - Returns: the offset of the table.
  mutating func appendTable(_ offsets: [Int], tableBytes: Int) -> Int {
    let vtableBytes = 4 + 2 * offsets.count
    bytes.append(contentsOf: repeatElement(0, count: -(bytes.count + vtableBytes) & 7))
    let vtable = bytes.count
    append(UInt16(vtableBytes))
    append(UInt16(tableBytes))
    for offset in offsets { append(UInt16(offset)) }
    let table = bytes.count
    append(Int32(table - vtable))
    bytes.append(contentsOf: repeatElement(0, count: tableBytes - 4))
    return table
  }

  /// Appends a text. Returns its offset.
  mutating func appendString(_ text: String) -> Int {
    pad(to: 4)
    let place = bytes.count
    append(UInt32(text.utf8.count))
    append(Array(text.utf8) + [0])
    return place
  }

  /// Appends a vector of offsets, which are 0, and makes the offset at `place` point to it.
  ///
  /// - Returns: the place of the first offset.
  mutating func appendOffsets(_ count: Int, at place: Int) -> Int {
    pad(to: 4)
    setOffset(at: place, to: bytes.count)
    append(UInt32(count))
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: 4 * count))
    return start
  }

  /// Appends a vector of numbers of 8 bytes, and makes the offset at `place` point to it.
  mutating func appendNumbers(_ numbers: [Int], at place: Int) {
    beginVector(numbers.count, at: place)
    for number in numbers { append(Int64(number)) }
  }

  /// Appends a vector of structs of two numbers, and makes the offset at `place` point to it.
  mutating func appendPairs(_ pairs: [(Int, Int)], at place: Int) {
    beginVector(pairs.count, at: place)
    for (first, second) in pairs {
      append(Int64(first))
      append(Int64(second))
    }
  }

  /// Begins a vector whose elements are aligned to 8.
  private mutating func beginVector(_ count: Int, at place: Int) {
    bytes.append(contentsOf: repeatElement(0, count: (4 - bytes.count) & 7))
    setOffset(at: place, to: bytes.count)
    append(UInt32(count))
  }

  /// The bytes so far, and `old` after them. Each offset at a place of the new bytes points to a target of the old ones.
  consuming func before(_ old: [UInt8], _ links: [(place: Int, target: Int)]) -> [UInt8] {
    pad(to: 8)
    let start = bytes.count
    for (place, target) in links { setOffset(at: place, to: start + target) }
    append(old)
    return bytes
  }
}
