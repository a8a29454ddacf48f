/// The groups of a table and the places of their columns. All copies of a table share one.
final class StateLayout: Sendable {
  /// The place of the values of a column.
  enum Place: Sendable {
    case real(Int)
    case count(Int)
    /// Among the columns of keys.
    case key(Int)
  }

  let groups: [StateGroup]
  /// The places of the columns of each group, in the order of the groups.
  let places: [[Place]]
  private let placesByFileName: [String: Place]

  init(_ groups: [StateGroup]) {
    precondition(Set(groups.map(\.name)).count == groups.count, "two state groups of one name")
    // Columns of keys are counted among those of their kind too; their values there stay empty.
    var (real, count, key) = (0, 0, 0)
    let places = groups.map { group in
      group.columns.map { column -> Place in
        defer {
          if group.scope.hasKeys { key += 1 }
          if column.kind == .real { real += 1 } else { count += 1 }
        }
        return group.scope.hasKeys ? .key(key) : column.kind == .real ? .real(real) : .count(count)
      }
    }
    self.groups = groups
    self.places = places
    placesByFileName = Dictionary(
      zip(groups.flatMap(\.columns).map(\.fileName), places.joined()),
      uniquingKeysWith: { _, _ in preconditionFailure("two state columns of one file name") })
  }

  func place(ofFileName name: String) -> Place? { placesByFileName[name] }

  func index(ofGroup name: String) -> Int? { groups.firstIndex { $0.name == name } }
}

extension StateLayout: Equatable {
  static func == (left: StateLayout, right: StateLayout) -> Bool {
    left === right || left.groups == right.groups
  }
}
