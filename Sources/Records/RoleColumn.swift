/// A column that is no feature. Its values tell the normaliser something about each record, and pass untouched.
package struct RoleColumn: Sendable, Equatable {
  package enum Role: Sendable, Equatable {
    /// How much a record counts in the moments.
    case weight
    /// When the record happened.
    case time(TimeFormat)
    /// The thing that the record is of, alone or with other key columns; the number of the column among them, from 0.
    case key(Int)
    /// The class of the record, one of these names; empty for any.
    case className(among: [[UInt8]])
  }

  package let role: Role
  /// The name of the column, as the records spell it.
  package let name: String

  package init(_ role: Role, name: String) {
    self.role = role
    self.name = name
  }

  /// The key of the setting that names the column.
  package var key: String {
    switch role {
    case .weight: Self.weightKey
    case .time: Self.timeKey
    case .key: Self.keyKey
    case .className: Self.classKey
    }
  }

  package static let weightKey = "weight.column"
  package static let timeKey = "time.column"
  package static let keyKey = "key.columns"
  package static let classKey = "weight.class"
}

/// The values of the role columns of one record.
package struct RecordRoles: Sendable, Equatable {
  /// 0 to 1; nil if the stream has no weights.
  package var weight: Double?
  /// In nanoseconds since 1970, UTC; nil if the stream has no event times.
  package var time: Int64?
  /// The key, or the class; nil if the stream has neither.
  package var key: RecordKey?
  /// Whether the record has a class that counts; nil if the stream has no classes.
  package var hasClass: Bool?

  package init() {}

  /// Those of a record that counts for nothing.
  package static func none(of columns: [RoleColumn]) -> RecordRoles {
    var roles = RecordRoles()
    for column in columns {
      switch column.role {
      case .weight: roles.weight = 0
      case .time: roles.time = RoleNumbers.noTime
      case .key: roles.key = RecordKey()
      case .className: (roles.key, roles.hasClass) = (RecordKey(), false)
      }
    }
    return roles
  }

  /// How much the record counts in the moments; nil if all count as 1. Without a class it counts for nothing.
  fileprivate var countedWeight: Double? { hasClass.map { $0 ? weight ?? 1 : 0 } ?? weight }
}

/// The values of the role columns of a block. That of record `i` is at index `i`.
package struct RoleNumbers: Sendable {
  /// The weight of each record in the moments; nil if all are 1. It has as many entries as the columns have room.
  package private(set) var weights: [Double]?
  /// The event time of each record, in nanoseconds since 1970, UTC; nil without event times.
  package private(set) var times: [Int64]?
  /// The key of each record; nil without keys.
  package private(set) var keys: KeyBytes?

  /// The time of a record that has none, since it is bad and only stays in the output. It counts for nothing.
  package static let noTime = Int64.min
  /// The time of a record whose message has none, so that it is a bad record.
  package static let absentTime = Int64.min + 1

  package init() {}

  /// The memory of the numbers, in bytes.
  var byteCount: Int {
    (weights?.count ?? 0) * MemoryLayout<Double>.stride
      + (times?.count ?? 0) * MemoryLayout<Int64>.stride + (keys?.byteCount ?? 0)
  }

  /// Sets the numbers of one record.
  ///
  /// - Parameter capacity: the most records of the columns.
  package mutating func set(_ roles: RecordRoles, of record: Int, capacity: Int) {
    if let weight = roles.countedWeight { Self.set(weight, of: record, in: &weights, capacity) }
    if let time = roles.time { Self.set(time, of: record, in: &times, capacity) }
    guard let key = roles.key else { return }
    if keys == nil { keys = KeyBytes() }
    keys?.set(key, of: record)
  }

  mutating func set(time: Int64, of record: Int, capacity: Int) {
    Self.set(time, of: record, in: &times, capacity)
  }

  private static func set<Number: Numeric>(
    _ number: Number, of record: Int, in numbers: inout [Number]?, _ capacity: Int
  ) {
    if numbers?.count != capacity {
      precondition(numbers == nil && record == 0, "records with and without a role")
      numbers = Array(repeating: 0, count: capacity)
    }
    numbers?[record] = number
  }

  /// Copies the numbers of some records to others, from `start` on.
  mutating func copy(
    _ records: Range<Int>, of other: RoleNumbers, to start: Int, capacity: Int
  ) {
    Self.copy(records, of: other.weights, to: &weights, start, capacity)
    Self.copy(records, of: other.times, to: &times, start, capacity)
    guard let others = other.keys, !records.isEmpty else { return }
    if keys == nil { keys = KeyBytes() }
    keys?.copy(records, of: others, to: start)
  }

  private static func copy<Number: Numeric>(
    _ records: Range<Int>, of source: [Number]?, to numbers: inout [Number]?, _ start: Int,
    _ capacity: Int
  ) {
    guard let source, !records.isEmpty else { return }
    if numbers?.count != capacity {
      precondition(numbers == nil && start == 0, "records with and without a role")
      numbers = Array(repeating: 0, count: capacity)
    }
    for record in records { numbers?[start + record - records.lowerBound] = source[record] }
  }
}

extension FeatureColumns {
  /// Sets the numbers of the role columns of a record, which need not be counted yet.
  package mutating func setRoles(_ roles: RecordRoles, of record: Int) {
    self.roles.set(roles, of: record, capacity: capacity)
  }

  /// Sets the event time of a record, in nanoseconds since 1970, UTC.
  package mutating func setTime(_ time: Int64, of record: Int) {
    roles.set(time: time, of: record, capacity: capacity)
  }
}
