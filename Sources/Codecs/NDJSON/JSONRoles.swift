internal import Records

/// Reads the role columns of NDJSON, which are paths to single values.
extension DecoderOptions {
  /// The role columns, as the reader of a record takes them.
  func roleFeatures() throws(RecordFault) -> [JSONFeature] {
    var found: [JSONFeature] = []
    for role in roles {
      guard let path = try? JSONPath(parsing: role.name), path.element == nil else {
        throw RecordFault(
          expected: "a path to one value in \(role.key), such as 'engine.rpm'",
          found: quoted(role.name))
      }
      found.append(JSONFeature(name: role.name, path: path))
    }
    return found
  }

  /// The roles of a record.
  ///
  /// - Parameter featureCount: the number of the features, which the roles follow.
  func roles(
    of record: JSONRecord, after featureCount: Int
  ) throws(RecordFault) -> RecordRoles {
    var told = RecordRoles()
    var foundCount = 0
    for value in record where value.feature >= featureCount && value.kind != .misplaced {
      let text = UnsafeRawBufferPointer(
        rebasing: record.text[Int(value.start)..<Int(value.end)])
      try text.withMemoryRebound(to: UInt8.self) { (text) throws(RecordFault) in
        try Self.read(roles[value.feature - featureCount], text, into: &told)
      }
      foundCount += 1
    }
    guard foundCount < roles.count else { return told }
    let present = Set(record.lazy.filter { $0.kind != .misplaced }.map(\.feature))
    for (index, role) in roles.enumerated() where !present.contains(featureCount + index) {
      try role.readMissing("no such member", into: &told)
    }
    return told
  }

  /// Reads a value as JSON spells it.
  private static func read(
    _ role: RoleColumn, _ text: UnsafeBufferPointer<UInt8>, into roles: inout RecordRoles
  ) throws(RecordFault) {
    guard role.isSpelled else { return try role.read(text, into: &roles) }
    switch text.first {
    // Without its quotes, so that it is the key that CSV has.
    case UInt8(ascii: "\""):
      try role.read(UnsafeBufferPointer(rebasing: text.dropFirst().dropLast()), into: &roles)
    case UInt8(ascii: "n"), UInt8(ascii: "{"), UInt8(ascii: "["), nil:
      try role.readMissing(RecordFault.quote(text), into: &roles)
    default: try role.read(text, into: &roles)
    }
  }
}
