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

  static let groups = [learn, freeze, LastVersions.group, LastVersions.parameters, sgd, adam]

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

// Invariant: row i of the kept γ and β belongs to the version in row i + 1 of the versions. The γ and β in force are not
// kept twice.

/// The last versions of γ and β, so that the age of gradients is known, and x̂ of their y.
struct LastVersions: Sendable {
  private let last: CountColumn
  private let weights, biases: RealColumn
  private let current: CountColumn
  private let affine: NormalizerColumns

  init(in table: borrowing StateTable) {
    last = table.count("version", of: "learn_versions")
    weights = table.real("weight", of: "learn_parameters")
    biases = table.real("bias", of: "learn_parameters")
    current = StreamVersions(in: table).parameters
    affine = NormalizerColumns(in: table)
  }

  /// Newest first. The oldest one fills the rows that no other one needs.
  static let group = StateGroup(
    "learn_versions", scope: .streamSlots(LearnColumns.greatestStaleness + 1),
    columns: [.count("version")], isOptional: true,
    // The versions of a merged state are none of those that either stream had.
    merge: { rows, _ throws(StateError) in rows.reset() })

  /// γ and β of all versions but the newest. Rows that no version needs are 0.
  static let parameters = StateGroup(
    "learn_parameters", scope: .featureSlots(LearnColumns.greatestStaleness),
    columns: [.real("weight", initial: 0), .real("bias", initial: 0)], isOptional: true,
    merge: { rows, _ throws(StateError) in rows.reset() })

  /// The version in force.
  func current(_ state: borrowing StateTable) -> Int { state[current][0] }

  /// How often γ and β have changed since a version; nil if it is none of the last ones.
  func age(of version: Int, _ state: borrowing StateTable) -> Int? {
    let versions = state[last]
    // γ or β changed while nobody learned: the versions before are not known.
    guard versions[0] == current(state) else { return version == current(state) ? 0 : nil }
    return versions.firstIndex(of: version)
  }

  /// γ and β of a version, by its age. A weight of 0 may not be known.
  func parameters(
    ofAge age: Int, _ state: borrowing StateTable
  ) -> (weight: [Double], bias: [Double]) {
    guard age > 0 else { return (state[affine.weight], state[affine.bias]) }
    let count = state.features.count
    let row = (age - 1) * count..<age * count
    return (Array(state[weights][row]), Array(state[biases][row]))
  }

  /// Adds the version in force after the one of an earlier state.
  func add(after before: borrowing StateTable, _ state: inout StateTable) {
    let old = current(before)
    var versions = state.take(last)
    if versions[0] != old { for row in versions.indices { versions[row] = old } }
    versions.removeLast()
    versions.insert(current(state), at: 0)
    state.put(versions, in: last)
    keep(before[affine.weight], in: weights, &state)
    keep(before[affine.bias], in: biases, &state)
  }

  private func keep(_ values: [Double], in column: RealColumn, _ state: inout StateTable) {
    var rows = state.take(column)
    rows.removeLast(values.count)
    rows.insert(contentsOf: values, at: 0)
    state.put(rows, in: column)
  }
}
