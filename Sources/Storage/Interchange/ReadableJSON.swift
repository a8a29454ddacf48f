internal import Records
internal import State

extension ExportFormat {
  /// The state and the settings as JSON, for people and scripts. Reading a number as the nearest Double gives the
  /// same bits.
  package static let json = ExportFormat(name: "json", hasKeys: true) {
    checkpoint throws(ContentError) in
    Array(try JSON.encode(ReadableCheckpoint(checkpoint), indented: true).utf8) + [0x0A]
  }
}

extension ImportFormat {
  /// The JSON that the export of that name wrote, or the moments of another tool (`StatisticsJSON`). Members
  /// with other names are ignored.
  static let json = ImportFormat(name: "json") { bytes, options throws(ContentError) in
    let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    // First, because a newer version may lack what this one needs.
    let kind = try JSON.decode(ReadableKind.self, from: bytes, part: "file")
    guard let version = kind.version else {
      guard kind.isStatistics else {
        throw .unexpected(
          part: "file", expected: "'version', or 'mean', 'variance' and 'count'", found: "neither")
      }
      return try JSON.decode(StatisticsJSON.self, from: bytes, part: "file").checkpoint(options)
    }
    try Checkpoint.checkVersion("\(version)")
    return try JSON.decode(
      ReadableCheckpoint.self, from: bytes, part: "file",
      userInfo: ReadableCheckpoint.groupsKey.map { [$0: options.groups] } ?? [:]
    ).checkpoint
  }
}

/// The members that tell what kind of JSON it is.
private struct ReadableKind: Decodable {
  /// In every version of the export's JSON.
  let version: Double?
  let isStatistics: Bool

  private enum CodingKeys: CodingKey { case version, mean }

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    version = try members.decodeIfPresent(Double.self, forKey: .version)
    isStatistics = members.contains(.mean)
  }
}

/// The name of a member that is only known at run time.
private struct MemberName: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }

  static let name = MemberName("name")
}

/// A checkpoint in the form of the JSON.
///
/// `stream` contains the groups of the stream. `features` contains an object for each feature with its name and its
/// groups, and `keys` an object for each key.
private struct ReadableCheckpoint: Codable {
  static let groupsKey = CodingUserInfoKey(rawValue: "groups")

  let checkpoint: Checkpoint

  enum CodingKeys: String, CodingKey {
    case version, settings, input, stream, features, keys
  }

  init(_ checkpoint: Checkpoint) {
    self.checkpoint = checkpoint
  }

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(Checkpoint.formatVersion, forKey: .version)
    try members.encode(checkpoint.settings, forKey: .settings)
    try members.encodeIfPresent(checkpoint.input, forKey: .input)
    let state = checkpoint.state
    let groups = state.writtenGroups
    var stream = members.nestedContainer(keyedBy: MemberName.self, forKey: .stream)
    try StateObject.stream.encode(groups, of: state, to: &stream)
    var features = members.nestedUnkeyedContainer(forKey: .features)
    for (index, name) in state.features.names.enumerated() {
      var feature = features.nestedContainer(keyedBy: MemberName.self)
      try feature.encode(name, forKey: .name)
      try StateObject.feature(index).encode(groups, of: state, to: &feature)
    }
    guard groups.contains(where: \.scope.hasKeys) else { return }
    var keys = members.nestedUnkeyedContainer(forKey: .keys)
    for index in 0..<state.keyCount {
      var key = keys.nestedContainer(keyedBy: MemberName.self)
      try key.encode(KeyName(state.keys[index]), forKey: .name)
      try StateObject.key(index).encode(groups, of: state, to: &key)
    }
  }

  init(from decoder: any Decoder) throws {
    struct Named: Decodable { let name: String }
    let members = try decoder.container(keyedBy: CodingKeys.self)
    let groups = Self.groupsKey.flatMap { decoder.userInfo[$0] as? [StateGroup] } ?? []
    let names = try members.decode([Named].self, forKey: .features).map(\.name)
    var state = StateTable(groups, features: try FeatureSchema(named: names))
    let stream = try members.nestedContainer(keyedBy: MemberName.self, forKey: .stream)
    try StateObject.stream.decode(stream, to: &state)
    var features = try members.nestedUnkeyedContainer(forKey: .features)
    for index in names.indices {
      let feature = try features.nestedContainer(keyedBy: MemberName.self)
      try StateObject.feature(index).decode(feature, to: &state)
    }
    if members.contains(.keys) {
      var keys = try members.nestedUnkeyedContainer(forKey: .keys)
      while !keys.isAtEnd {
        let key = try keys.nestedContainer(keyedBy: MemberName.self)
        let row = state.addKey(try Self.keyBytes(of: key)[...])
        try StateObject.key(row).decode(key, to: &state)
      }
    }
    var checkpoint = Checkpoint(
      state, settings: try members.decode([String: String].self, forKey: .settings))
    checkpoint.input = try members.decodeIfPresent(InputCursor.self, forKey: .input)
    self.checkpoint = checkpoint
  }

  private static func keyBytes(
    of key: KeyedDecodingContainer<MemberName>
  ) throws -> [UInt8] {
    let name = try key.decode(KeyName.self, forKey: .name)
    guard let bytes = RecordKey.bytes(of: name.values.map(\.bytes)) else {
      throw ContentError.unexpected(
        part: "keys", expected: "names of 1 to \(RecordKey.longest) bytes", found: "another")
    }
    return bytes
  }
}

/// The part of a state in one object of the JSON: a member for each group, with a member for each column.
private enum StateObject {
  case stream
  case feature(Int)
  case key(Int)

  /// The rows of a group that belong to the object; nil if other objects contain the group.
  private func rows(of group: StateGroup, in state: StateTable) -> [Int]? {
    let features = state.features.count
    switch (self, group.scope) {
    case (.stream, .stream): return [0]
    case (.stream, .streamSlots(let slots)): return Array(0..<slots)
    case (.feature(let index), .feature): return [index]
    case (.feature(let index), .featureSlots(let slots)):
      return (0..<slots).map { $0 * features + index }
    // Of the values of the key.
    case (.key, .key): return [0]
    case (.key, .keyFeature): return Array(0..<features)
    default: return nil
    }
  }

  /// Whether the object has one value for each column, not an array.
  private func isScalar(_ scope: StateScope) -> Bool {
    scope == .stream || scope == .feature || scope == .key
  }

  /// The values of a column; of a key only its own.
  private func values(of column: StateColumn, in state: StateTable) -> StateValues? {
    if case .key(let row) = self {
      state.values(column.fileName, ofKey: row)
    } else {
      state[column.fileName]
    }
  }

  func encode(
    _ groups: [StateGroup], of state: StateTable,
    to object: inout KeyedEncodingContainer<MemberName>
  ) throws {
    for group in groups {
      guard let rows = rows(of: group, in: state) else { continue }
      var members = object.nestedContainer(
        keyedBy: MemberName.self, forKey: MemberName(group.name))
      for column in group.columns {
        let key = MemberName(column.name)
        let isScalar = isScalar(group.scope)
        switch values(of: column, in: state) {
        case .real(let values) where isScalar: try members.encode(values[rows[0]], forKey: key)
        case .real(let values): try members.encode(rows.map { values[$0] }, forKey: key)
        case .count(let values) where isScalar: try members.encode(values[rows[0]], forKey: key)
        case .count(let values): try members.encode(rows.map { values[$0] }, forKey: key)
        case nil: break
        }
      }
    }
  }

  /// Reads the groups and columns that the object has. Others keep their initial values.
  func decode(
    _ object: KeyedDecodingContainer<MemberName>, to state: inout StateTable
  ) throws {
    var unknown = object.allKeys.map(\.stringValue).filter { state.group($0) == nil }
    if case .stream = self {} else { unknown.removeAll { $0 == MemberName.name.stringValue } }
    for group in state.groups {
      let name = MemberName(group.name)
      guard let rows = rows(of: group, in: state), object.contains(name) else { continue }
      let members = try object.nestedContainer(keyedBy: MemberName.self, forKey: name)
      unknown += members.allKeys.map(\.stringValue)
        .filter { group.column($0) == nil }.map { "\(group.name).\($0)" }
      for column in group.columns where members.contains(MemberName(column.name)) {
        try decode(column, of: group, rows, from: members, to: &state)
      }
    }
    guard unknown.isEmpty else { throw ContentError.unknownState(unknown.sorted()) }
  }

  private func decode(
    _ column: StateColumn, of group: StateGroup, _ rows: [Int],
    from members: KeyedDecodingContainer<MemberName>, to state: inout StateTable
  ) throws {
    let key = MemberName(column.name)
    func values<Value: Decodable>(_ type: Value.Type) throws -> [Value] {
      guard !isScalar(group.scope) else { return [try members.decode(Value.self, forKey: key)] }
      let values = try members.decode([Value].self, forKey: key)
      guard values.count == rows.count else {
        throw ContentError.unexpected(
          part: "\(group.name).\(column.name)",
          expected: "\(rows.count) number\(rows.count == 1 ? "" : "s")",
          found: "\(values.count)")
      }
      return values
    }
    if case .key(let row) = self {
      let read: StateValues =
        column.kind == .real ? .real(try values(Double.self)) : .count(try values(Int.self))
      return state.setValues(column.fileName, ofKey: row, to: read)
    }
    switch column.kind {
    case .real:
      let handle = state.real(column.name, of: group.name)
      for (row, value) in zip(rows, try values(Double.self)) { state[handle][row] = value }
    case .count:
      let handle = state.count(column.name, of: group.name)
      for (row, value) in zip(rows, try values(Int.self)) { state[handle][row] = value }
    }
  }
}
