internal import Records
package import State

/// The state groups that a file may contain, and the treatment of other groups.
package struct StateReading: Sendable {
  package enum Unknown: Sendable {
    /// The file is refused, because its state would be lost.
    case refuse
    /// The file is read without the group.
    case drop
    /// The group is read as the file describes it, to show it.
    case keep
  }

  /// The groups that the program declares. A group that the file lacks starts with its initial values.
  package var groups: [StateGroup]
  package var unknown: Unknown
  /// The names of groups that the program knows and the stream has turned off. The file is read without them.
  package var turnedOff: Set<String> = []

  package init(_ groups: [StateGroup], unknown: Unknown = .refuse) {
    self.groups = groups
    self.unknown = unknown
  }

  /// The groups of a table to read from a file.
  ///
  /// - Parameter described: the groups that the file describes.
  /// - Throws: `ContentError.unknownState`, or `.unexpected` for a known group with another scope.
  func groups(for described: [StateDescription]) throws(ContentError) -> [StateGroup] {
    var chosen = groups
    var unknown: [String] = []
    for description in described where !turnedOff.contains(description.name) {
      guard let known = groups.first(where: { $0.name == description.name }) else {
        unknown.append(description.name)
        if self.unknown == .keep { chosen.append(try description.group()) }
        continue
      }
      guard known.scope.text == description.scope else {
        throw .unexpected(
          part: "state group \(quoted(known.name))", expected: "scope \(known.scope.text)",
          found: quoted(description.scope))
      }
      unknown += description.columns
        .filter { column in !known.columns.contains { $0.fileName == column.fileName } }
        .map { "\(known.name).\($0.name)" }
    }
    guard unknown.isEmpty || self.unknown != .refuse else { throw .unknownState(unknown) }
    try requireDistinct(chosen.map(\.name), "state groups")
    try requireDistinct(chosen.flatMap(\.columns).map(\.fileName), "state columns")
    return chosen
  }
}

private func requireDistinct(_ names: [String], _ part: String) throws(ContentError) {
  guard Set(names).count == names.count else {
    throw .unexpected(part: part, expected: "names that differ", found: "one twice")
  }
}

/// A state group as a file describes it.
struct StateDescription: Codable {
  struct Column: Codable {
    var name: String
    var fileName: String
    var kind: String

    enum CodingKeys: String, CodingKey {
      case name, kind
      case fileName = "tensor"
    }
  }

  var name: String
  var scope: String
  var columns: [Column]

  init(_ group: StateGroup) {
    name = group.name
    scope = group.scope.text
    columns = group.columns.map {
      Column(name: $0.name, fileName: $0.fileName, kind: $0.kind.rawValue)
    }
  }

  /// The group, with only the properties that the file describes.
  fileprivate func group() throws(ContentError) -> StateGroup {
    let part = "state group \(quoted(name))"
    guard let scope = StateScope(text: scope) else {
      throw .unexpected(part: part, expected: "a scope such as feature", found: quoted(scope))
    }
    var known: [StateColumn] = []
    for column in columns {
      switch column.kind {
      case StateColumn.Kind.real.rawValue:
        known.append(.real(column.name, initial: 0, fileName: column.fileName))
      case StateColumn.Kind.count.rawValue:
        known.append(.count(column.name, fileName: column.fileName))
      default:
        throw .unexpected(part: part, expected: "kind real or count", found: quoted(column.kind))
      }
    }
    return StateGroup(name, scope: scope, columns: known)
  }
}
