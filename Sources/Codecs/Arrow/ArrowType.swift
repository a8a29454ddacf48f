internal import Records

/// The type of an Arrow field, as far as it determines the layout of values or their text.
enum ArrowType: Equatable, Sendable {
  enum Unit: Int16, Sendable {
    case seconds, milliseconds, microseconds, nanoseconds
  }

  case null
  case integer(bits: Int, isSigned: Bool)
  case float(bits: Int)
  case binary, utf8, bool
  case decimal(precision: Int, scale: Int, bits: Int)
  case date(isDays: Bool)
  case time(Unit, bits: Int)
  case timestamp(Unit, zone: String?)
  case interval(unit: Int16)
  case list, structure
  case union(isDense: Bool)
  case fixedBinary(byteCount: Int)
  case fixedList(count: Int)
  case map
  case duration(Unit)
  case largeBinary, largeUtf8, largeList, runEndEncoded
  case binaryView, utf8View, listView, largeListView

  /// Reads the type of a field from its `Field` table (Schema.fbs).
  init(ofField field: FlatTable, nameLimit: Int) throws(RecordFault) {
    let number: UInt8 = try field.integer(2, absent: 0)
    guard let table = try field.table(3) else {
      throw RecordFault(expected: "an Arrow field with a type", found: "none")
    }
    if let plain = Self.plain(number) {
      self = plain
    } else {
      self = try Self.parametric(number, table, nameLimit)
    }
  }

  /// The types that only have a number.
  private static func plain(_ number: UInt8) -> ArrowType? {
    switch number {
    case 1: .null
    case 4: .binary
    case 5: .utf8
    case 6: .bool
    case 12: .list
    case 13: .structure
    case 17: .map
    case 19: .largeBinary
    case 20: .largeUtf8
    case 21: .largeList
    case 22: .runEndEncoded
    case 23: .binaryView
    case 24: .utf8View
    case 25: .listView
    case 26: .largeListView
    default: nil
    }
  }

  private static func parametric(
    _ number: UInt8, _ table: FlatTable, _ nameLimit: Int
  ) throws(RecordFault) -> ArrowType {
    switch number {
    case 2: try integer(table)
    case 3: try float(table)
    case 7:
      .decimal(
        precision: Int(try table.integer(0, absent: Int32(0))),
        scale: Int(try table.integer(1, absent: Int32(0))),
        bits: Int(try table.integer(2, absent: Int32(128))))
    case 8: .date(isDays: try table.integer(0, absent: Int16(1)) == 0)
    case 9: .time(try unit(table, absent: 1), bits: Int(try table.integer(1, absent: Int32(32))))
    case 10: .timestamp(try unit(table, absent: 0), zone: try table.string(1, limit: nameLimit))
    case 11: .interval(unit: try table.integer(0, absent: 0))
    case 14: .union(isDense: try table.integer(0, absent: Int16(0)) == 1)
    case 15: .fixedBinary(byteCount: try size(table))
    case 16: .fixedList(count: try size(table))
    case 18: .duration(try unit(table, absent: 1))
    default:
      throw RecordFault(
        expected: "an Arrow type of format 1.5 or older", found: "type number \(number)")
    }
  }

  /// Reads an `Int` table.
  static func integer(_ table: FlatTable) throws(RecordFault) -> ArrowType {
    let bits: Int32 = try table.integer(0, absent: 0)
    guard [8, 16, 32, 64].contains(bits) else {
      throw RecordFault(
        expected: "an Arrow integer of 8, 16, 32 or 64 bits", found: "one of \(bits)")
    }
    return .integer(bits: Int(bits), isSigned: try table.integer(1, absent: UInt8(0)) != 0)
  }

  private static func float(_ table: FlatTable) throws(RecordFault) -> ArrowType {
    switch try table.integer(0, absent: Int16(0)) {
    case 0: return .float(bits: 16)
    case 1: return .float(bits: 32)
    case 2: return .float(bits: 64)
    case let number:
      throw RecordFault(
        expected: "an Arrow float of 16, 32 or 64 bits", found: "precision number \(number)")
    }
  }

  private static func unit(_ table: FlatTable, absent: Int16) throws(RecordFault) -> Unit {
    let number = try table.integer(0, absent: absent)
    guard let unit = Unit(rawValue: number) else {
      throw RecordFault(
        expected: "a unit from seconds to nanoseconds in an Arrow type", found: "number \(number)")
    }
    return unit
  }

  private static func size(_ table: FlatTable) throws(RecordFault) -> Int {
    let size: Int32 = try table.integer(0, absent: 0)
    guard size >= 0 else {
      throw RecordFault(expected: "an Arrow type of a size of 0 or more", found: "\(size)")
    }
    return Int(size)
  }

  /// The number of buffers of a field, without those of its children and the variadic buffers of views.
  ///
  /// - Parameter hasUnionValidity: whether the format is older than 1.0.
  func bufferCount(hasUnionValidity: Bool) -> Int {
    switch self {
    case .null, .runEndEncoded: 0
    case .structure, .fixedList: 1
    case .union(let isDense): (isDense ? 2 : 1) + (hasUnionValidity ? 1 : 0)
    case .utf8, .binary, .largeUtf8, .largeBinary, .listView, .largeListView: 3
    case .integer, .float, .bool, .decimal, .date, .time, .timestamp, .interval, .fixedBinary,
      .duration, .list, .largeList, .map, .binaryView, .utf8View:
      2
    }
  }

  /// Whether a field has no buffer but that of its validity. Its values are those of its children.
  var hasOnlyValidity: Bool {
    switch self {
    case .structure, .fixedList: true
    default: false
    }
  }

  /// Whether the values are lists, of whichever layout.
  var isList: Bool {
    switch self {
    case .list, .largeList, .fixedList, .listView, .largeListView: true
    default: false
    }
  }

  /// Whether variadic buffers follow. The record batch tells how many.
  var isView: Bool { self == .binaryView || self == .utf8View }
}
