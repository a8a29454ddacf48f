internal import Records

/// The bytes of a flatbuffer. Each access is checked against its end.
struct FlatBytes {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// Calls `body` with a view of `bytes`. `body` must not keep the view.
  static func read<Result>(
    _ bytes: [UInt8], _ body: (FlatBytes) throws(RecordFault) -> Result
  ) throws(RecordFault) -> Result {
    // A closure of `withUnsafeBytes` would lose the type of the error.
    let outcome = bytes.withUnsafeBytes { view in
      Swift.Result { () throws(RecordFault) in try body(FlatBytes(view)) }
    }
    return try outcome.get()
  }

  var count: Int { bytes.count }

  /// The little-endian number at `offset`.
  func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Value.Type = Value.self
  ) throws(RecordFault) -> Value {
    try check(offset, byteCount: MemoryLayout<Value>.size)
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// The bytes `offset ..< offset + count`.
  func slice(at offset: Int, count: Int) throws(RecordFault) -> UnsafeRawBufferPointer {
    try check(offset, byteCount: count)
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  func check(_ offset: Int, byteCount: Int) throws(RecordFault) {
    guard offset >= 0, byteCount >= 0, byteCount <= count, offset <= count - byteCount else {
      throw RecordFault(
        expected: "Arrow metadata whose offsets stay within its \(count) bytes",
        found: "offset \(offset)")
    }
  }
}

// Invariants:
// - The vtable and the table are within `bytes`; `field` returns only offsets within both.
// - An offset to another object points forward, so a walk that follows offsets ends.

/// A table of a flatbuffer.
///
/// It contains its fields by number: a vtable before or after it has the offset of each field.
struct FlatTable {
  let bytes: FlatBytes
  /// The offset of the table in `bytes`.
  let start: Int
  private let vtable: Int
  private let fieldCount: Int
  private let byteCount: Int

  init(in bytes: FlatBytes, at start: Int) throws(RecordFault) {
    let vtable = start - Int(try bytes.integer(at: start, as: Int32.self))
    let vtableBytes = Int(try bytes.integer(at: vtable, as: UInt16.self))
    byteCount = Int(try bytes.integer(at: vtable + 2, as: UInt16.self))
    guard vtableBytes >= 4, byteCount >= 4 else {
      throw RecordFault(
        expected: "a flatbuffer table of 4 bytes or more in Arrow metadata",
        found: "\(min(vtableBytes, byteCount)) bytes")
    }
    try bytes.check(vtable, byteCount: vtableBytes)
    try bytes.check(start, byteCount: byteCount)
    self.bytes = bytes
    self.start = start
    self.vtable = vtable
    fieldCount = (vtableBytes - 4) / 2
  }

  /// The root table of a flatbuffer.
  init(rootOf bytes: FlatBytes) throws(RecordFault) {
    try self.init(in: bytes, at: Self.target(ofOffsetAt: 0, in: bytes))
  }

  /// The offset of a field's value in `bytes`; nil if the field is absent.
  func place(ofField field: Int, byteCount fieldBytes: Int) throws(RecordFault) -> Int? {
    guard field < fieldCount else { return nil }
    let offset = Int(try bytes.integer(at: vtable + 4 + 2 * field, as: UInt16.self))
    guard offset > 0 else { return nil }
    guard offset + fieldBytes <= byteCount else {
      throw RecordFault(
        expected: "Arrow metadata whose fields stay within their table of \(byteCount) bytes",
        found: "offset \(offset)")
    }
    return start + offset
  }

  /// A number; `absent` if the field is absent.
  func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    _ field: Int, absent: Value
  ) throws(RecordFault) -> Value {
    guard let place = try place(ofField: field, byteCount: MemoryLayout<Value>.size) else {
      return absent
    }
    return try bytes.integer(at: place)
  }

  /// The offset of the object that a field refers to; nil if the field is absent.
  private func target(ofField field: Int) throws(RecordFault) -> Int? {
    guard let place = try place(ofField: field, byteCount: 4) else { return nil }
    return try Self.target(ofOffsetAt: place, in: bytes)
  }

  func table(_ field: Int) throws(RecordFault) -> FlatTable? {
    guard let start = try target(ofField: field) else { return nil }
    return try FlatTable(in: bytes, at: start)
  }

  /// A text of at most `limit` bytes. Invalid UTF-8 is repaired.
  func string(_ field: Int, limit: Int) throws(RecordFault) -> String? {
    guard let text = try vector(field, stride: 1) else { return nil }
    guard text.count <= limit else {
      throw RecordFault(
        expected: "a name of at most \(limit) bytes in Arrow metadata",
        found: "one of \(text.count) bytes")
    }
    return String(decoding: try bytes.slice(at: text.start, count: text.count), as: UTF8.self)
  }

  /// A vector whose elements are `stride` bytes apart.
  func vector(_ field: Int, stride: Int) throws(RecordFault) -> FlatVector? {
    guard let start = try target(ofField: field) else { return nil }
    let count = Int(try bytes.integer(at: start, as: UInt32.self))
    // Both factors are below 2^32, so that the product fits.
    try bytes.check(start + 4, byteCount: count * stride)
    return FlatVector(bytes: bytes, start: start + 4, count: count, stride: stride)
  }

  fileprivate static func target(
    ofOffsetAt place: Int, in bytes: FlatBytes
  ) throws(RecordFault) -> Int {
    let offset = Int(try bytes.integer(at: place, as: UInt32.self))
    guard offset > 0 else {
      throw RecordFault(
        expected: "Arrow metadata whose offsets point forward", found: "offset 0 at byte \(place)")
    }
    return place + offset
  }
}

/// The elements of a vector in a flatbuffer: numbers, structs, or offsets of tables.
struct FlatVector {
  let bytes: FlatBytes
  /// The offset of the first element in `bytes`.
  let start: Int
  let count: Int
  let stride: Int

  /// The offset of an element in `bytes`. Traps beyond the end.
  func place(_ index: Int) -> Int {
    precondition(0 <= index && index < count)
    return start + index * stride
  }

  func table(_ index: Int) throws(RecordFault) -> FlatTable {
    try FlatTable(in: bytes, at: FlatTable.target(ofOffsetAt: place(index), in: bytes))
  }
}
