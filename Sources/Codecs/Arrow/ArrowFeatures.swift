internal import Records

/// The width and kind of a feature's values in a record batch.
enum ArrowNumber: Int32, Equatable, Sendable {
  case float32, float64, int32, int64

  init?(_ type: ArrowType) {
    switch type {
    case .float(bits: 32): self = .float32
    case .float(bits: 64): self = .float64
    case .integer(bits: 32, isSigned: true): self = .int32
    case .integer(bits: 64, isSigned: true): self = .int64
    default: return nil
    }
  }

  var byteCount: Int { self == .float32 || self == .int32 ? 4 : 8 }

  /// Whether the output has another type: the float of the same width.
  var isInteger: Bool { self == .int32 || self == .int64 }
}

/// An array of numbers in record batches: one feature, or the features of a fixed-size list.
struct ArrowColumn: Equatable, Sendable {
  var number: ArrowNumber
  /// The position of the array with the values.
  var place: ArrowPlace
  /// The struct and list fields around it, outermost first. If such a record is null, its value is null.
  var parents: [ArrowPlace]
  /// The number of values in a record: 1, or the length of the list.
  var valuesPerRecord: Int
  var isNullable: Bool
  /// The indices that lead to the field of the values in the schema.
  var path: [Int]
  /// For each feature, the index of its value in the list; 0 without a list.
  var elements: [Int32] = []
  /// For each feature, its index in the stream's schema.
  var features: [Int] = []
}

/// The features of an Arrow stream.
struct ArrowFeatures: Equatable, Sendable {
  let schema: FeatureSchema
  /// Sorted by the first feature of each.
  let columns: [ArrowColumn]
  /// The names of all columns, with each value of a list and each child of a struct that can be a feature.
  let names: [String]
  /// The choice by the types of the schema; nil if patterns choose.
  let choice: FeatureChoice?

  /// Whether Float can hold every value without loss.
  var fitsFloat: Bool { columns.allSatisfy { $0.number == .float32 } }

  /// Selects features by name: `a`, `e[3]` of a fixed-size list, `s.a` of a struct. Without patterns, all floats are
  /// features, and no integer.
  init(
    _ patterns: [FeaturePattern], excluding excluded: [FeaturePattern] = [],
    roles: [RoleColumn] = [], of schema: ArrowSchema, limits: DecoderLimits
  ) throws(RecordFault) {
    var candidates = Candidates(limits: limits)
    for (index, name) in ArrowNames.columns(of: schema).enumerated() {
      try candidates.add(schema.fields[index], name: name, parents: [], path: [index])
    }
    names = candidates.allNames
    let chosen: [Int]
    let excludedByUser = excluded
    let excluded = excluded + roles.map { FeaturePattern(name: $0.name) }
    do throws(FeatureError) {
      _ = try excludedByUser.matching(names)
      let wanted =
        patterns.isEmpty
        ? candidates.numbers.indices.filter { !candidates.column(of: $0).number.isInteger }
        : try FeaturePattern.select(patterns, from: candidates.names)
      chosen = wanted.filter { !excluded.matches(candidates.names[$0]) }
      guard !chosen.isEmpty || wanted.isEmpty else { throw FeatureError.noneLeft }
    } catch {
      throw candidates.refusal(of: error)
    }
    choice = patterns.isEmpty ? candidates.choice(of: chosen, excluded) : nil
    guard !chosen.isEmpty else {
      throw RecordFault(
        expected: "a column of type Float32 or Float64 in the Arrow schema", found: "none")
    }
    do {
      self.schema = try FeatureSchema(chosen.map { candidates.names[$0] })
    } catch {
      throw RecordFault(error)
    }
    var columns: [ArrowColumn] = []
    var indices: [Int: Int] = [:]
    for (feature, candidate) in chosen.enumerated() {
      let (column, element) = candidates.numbers[candidate]
      let index = indices[column] ?? columns.count
      if index == columns.count {
        indices[column] = index
        columns.append(candidates.columns[column])
      }
      columns[index].elements.append(Int32(element))
      columns[index].features.append(feature)
    }
    self.columns = columns
  }
}

extension ArrowFeatures {
  /// The features of a stream that was opened.
  init(of opening: StreamOpening, _ limits: DecoderLimits) throws(RecordFault) {
    try self.init(
      opening.schema.names.map { FeaturePattern(name: $0) },
      of: ArrowMetadata.schema(of: ArrowMetadata.firstMessage(of: opening.prologue), limits),
      limits: limits)
  }
}

/// All values that can be a feature.
private struct Candidates {
  let limits: DecoderLimits
  var columns: [ArrowColumn] = []
  var names: [String] = []
  /// For each name, its column and the element in that column.
  var numbers: [(column: Int, element: Int)] = []
  /// Fields of types that can be no feature, for the error: their types, and what to do.
  var unfit: [(name: String, type: String)] = []
  /// `names`, and the fields that can be no feature, in the order of the schema.
  var allNames: [String] = []

  /// Tells which columns are no features, and why.
  func choice(of chosen: [Int], _ excluded: [FeaturePattern]) -> FeatureChoice {
    let taken = Set(chosen.map { Name(names[$0]) })
    let left = allNames.filter { !taken.contains(Name($0)) }
    return FeatureChoice(
      records: 0,
      leftOut: left.map {
        FeatureChoice.LeftOut($0, because: excluded.matches($0) ? .excluded : .notFloats)
      })
  }

  func column(of number: Int) -> ArrowColumn { columns[numbers[number].column] }

  mutating func add(
    _ field: ArrowField, name: String, parents: [ArrowPlace], path: [Int]
  ) throws(RecordFault) {
    guard field.dictionary == nil else {
      return leaveOut(name, "Dictionary(\(field.type.name))")
    }
    switch field.type {
    case .structure where !field.children.isEmpty:
      for (index, child) in field.children.enumerated() {
        try add(
          child, name: ArrowNames.child(child.name, of: name), parents: parents + [field.place],
          path: path + [index])
      }
    case .fixedList(let count):
      guard let child = field.children.first, child.dictionary == nil,
        let number = ArrowNumber(child.type), !number.isInteger
      else { return leaveOut(name, field.type.name) }
      columns.append(
        ArrowColumn(
          number: number, place: child.place, parents: parents + [field.place],
          valuesPerRecord: count, isNullable: child.isNullable, path: path + [0]))
      guard count <= limits.fields - names.count else { throw tooMany }
      for element in 0..<count { add("\(name)[\(element)]", element) }
    case let type:
      guard let number = ArrowNumber(type) else {
        return switch type {
        case .integer, .float, .decimal, .bool:
          leaveOut(name, type.name + ": cast it before it is written")
        default: leaveOut(name, type.name)
        }
      }
      guard names.count < limits.fields else { throw tooMany }
      columns.append(
        ArrowColumn(
          number: number, place: field.place, parents: parents, valuesPerRecord: 1,
          isNullable: field.isNullable, path: path))
      add(name, 0)
    }
  }

  private mutating func leaveOut(_ name: String, _ type: String) {
    allNames.append(name)
    unfit.append((name, type))
  }

  private mutating func add(_ name: String, _ element: Int) {
    names.append(name)
    allNames.append(name)
    numbers.append((columns.count - 1, element))
  }

  private var tooMany: RecordFault {
    RecordFault(expected: "at most \(limits.fields) numbers in an Arrow record", found: "more")
  }

  /// The refusal of a pattern. If it matches only columns of other types, tells the type of one.
  func refusal(of error: FeatureError) -> RecordFault {
    guard case .matchesNothing(let pattern, _, _) = error,
      let field = unfit.first(where: { FeaturePattern(pattern).matches($0.name) })
    else { return RecordFault(error) }
    return RecordFault(
      expected: "features of type Float32, Float64, Int32 or Int64",
      found: "'\(field.name)' of type \(field.type)")
  }
}

extension ArrowType {
  /// The name of the type in errors.
  var name: String {
    switch self {
    case .null: "Null"
    case .binary: "Binary"
    case .utf8: "Utf8"
    case .bool: "Bool"
    case .date(let isDays): isDays ? "Date32" : "Date64"
    case .time(_, let bits): "Time\(bits)"
    case .timestamp: "Timestamp"
    case .interval: "Interval"
    case .list: "List"
    case .structure: "Struct"
    case .union: "Union"
    case .fixedBinary(let count): "FixedSizeBinary(\(count))"
    case .fixedList(let count): "FixedSizeList(\(count))"
    case .map: "Map"
    case .duration: "Duration"
    case .largeBinary: "LargeBinary"
    case .largeUtf8: "LargeUtf8"
    case .largeList: "LargeList"
    case .runEndEncoded: "RunEndEncoded"
    case .binaryView: "BinaryView"
    case .utf8View: "Utf8View"
    case .listView: "ListView"
    case .largeListView: "LargeListView"
    case .integer(let bits, let isSigned): (isSigned ? "Int" : "UInt") + "\(bits)"
    case .float(let bits): "Float\(bits)"
    case .decimal(let precision, let scale, let bits): "Decimal\(bits)(\(precision), \(scale))"
    }
  }
}
