internal import BatchNormalization
internal import Records
internal import State

/// The state groups of the operator that learns γ and β, and their columns in the table of a stream.
struct LearnColumns: Sendable {
  /// The greatest `max_staleness`.
  static let greatestStaleness = 64

  /// The steps so far, and the examples that their gradients came from.
  let steps, examples: CountColumn
  /// Whether γ and β are not learned for now: 1 if so.
  let frozen: CountColumn
  /// The columns that the optimizer keeps of γ and β.
  let weight, bias: (first: RealColumn, second: RealColumn?)
  /// The steps of each feature; nil with SGD, which needs no count.
  let featureSteps: CountColumn?
  /// The groups that only another optimizer uses.
  let others: [String]
  let versions: LastVersions

  init(in table: borrowing StateTable, for method: AffineOptimizer.Method) {
    steps = table.count("steps", of: "learn")
    examples = table.count("examples", of: "learn")
    frozen = table.count("frozen", of: "learn_freeze")
    versions = LastVersions(in: table)
    switch method {
    case .sgd:
      weight = (table.real("weight_velocity", of: "sgd"), nil)
      bias = (table.real("bias_velocity", of: "sgd"), nil)
      featureSteps = nil
      others = ["adam"]
    case .adam:
      weight = (table.real("weight_mean", of: "adam"), table.real("weight_square", of: "adam"))
      bias = (table.real("bias_mean", of: "adam"), table.real("bias_square", of: "adam"))
      featureSteps = table.count("steps", of: "adam")
      others = ["sgd"]
    }
  }

  static let groups =
    [learn, freeze, LastVersions.group, LastVersions.parameters, LastVersions.ring, sgd, adam]

  /// The groups that nobody is shown. They are large, and each step changes them.
  static let unshown = [LastVersions.parameters.name]

  /// The groups that belong to γ and β of one moment. A rollback restores them together: a velocity that led to wrong γ
  /// and β would lead there again.
  static let restoredWithParameters = ["learn", "sgd", "adam"]

  private static let learn = StateGroup(
    "learn", scope: .stream, columns: [.count("steps"), .count("examples")], isOptional: true,
    merge: keepOne)

  private static let freeze = StateGroup(
    "learn_freeze", scope: .stream, columns: [.count("frozen")], isOptional: true,
    validate: { rows throws(StateError) in
      guard rows[count: "frozen"][0] <= 1 else {
        throw .value(
          rows.label(of: "frozen", row: 0), expected: "0 or 1",
          found: "\(rows[count: "frozen"][0])")
      }
    },
    merge: { rows, other throws(StateError) in
      rows[count: "frozen"][0] = max(rows[count: "frozen"][0], other[count: "frozen"][0])
    })

  private static let sgd = StateGroup(
    "sgd", scope: .feature,
    columns: [.real("weight_velocity", initial: 0), .real("bias_velocity", initial: 0)],
    isOptional: true, merge: keepOne)

  private static let adam = StateGroup(
    "adam", scope: .feature,
    columns: [
      .real("weight_mean", initial: 0),
      .real("weight_square", initial: 0, in: StateColumn.nonNegative),
      .real("bias_mean", initial: 0),
      .real("bias_square", initial: 0, in: StateColumn.nonNegative), .count("steps"),
    ], isOptional: true, merge: keepOne)

  /// Takes the state that has learned if only one has. γ and β of two streams agree only if one has learned for both, so
  /// two that have must agree.
  @Sendable private static func keepOne(
    _ rows: inout StateRows, _ other: StateRows
  ) throws(StateError) {
    if other.isInitial { return }
    let isNew = rows.isInitial
    for column in rows.group.columns {
      let (mine, theirs): ([Double], [Double])
      switch column.kind {
      case .real:
        (mine, theirs) = (rows[real: column.name], other[real: column.name])
        if isNew { rows[real: column.name] = theirs }
      case .count:
        (mine, theirs) = (
          rows[count: column.name].map(Double.init), other[count: column.name].map(Double.init)
        )
        if isNew { rows[count: column.name] = other[count: column.name] }
      }
      guard !isNew, let row = mine.indices.first(where: { mine[$0] != theirs[$0] }) else {
        continue
      }
      throw .value(
        rows.label(of: column, row: row), expected: "\(mine[row])", found: "\(theirs[row])")
    }
  }
}

extension StateRows {
  /// Whether every column holds its initial value.
  fileprivate var isInitial: Bool {
    group.columns.allSatisfy { column in
      switch column.kind {
      case .real: self[real: column.name].allSatisfy { $0 == column.initial }
      case .count: self[count: column.name].allSatisfy { Double($0) == column.initial }
      }
    }
  }
}
