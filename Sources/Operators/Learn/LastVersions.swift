internal import BatchNormalization
internal import Records
internal import State

// Invariants:
// - Slot (head + i) mod `slots` of the kept γ and β belongs to the version in row i + 1 of the versions. The γ and β in
//   force are not kept twice.
// - A step writes one slot, so that its cost does not grow with the number of slots.

/// The last versions of γ and β, so that the age of gradients is known, and x̂ of their y.
struct LastVersions: Sendable {
  /// The number of versions of which γ and β are kept.
  private static let slots = LearnColumns.greatestStaleness

  private let last: CountColumn
  private let weights, biases: RealColumn
  private let head: CountColumn
  private let current: CountColumn
  private let affine: NormalizerColumns

  init(in table: borrowing StateTable) {
    last = table.count("version", of: "learn_versions")
    weights = table.real("weight", of: "learn_parameters")
    biases = table.real("bias", of: "learn_parameters")
    head = table.count("head", of: "learn_ring")
    current = StreamVersions(in: table).parameters
    affine = NormalizerColumns(in: table)
  }

  /// Newest first. The oldest one fills the rows that no other one needs.
  static let group = StateGroup(
    "learn_versions", scope: .streamSlots(slots + 1),
    columns: [.count("version")], isOptional: true,
    // The versions of a merged state are none of those that either stream had.
    merge: { rows, _ throws(StateError) in rows.reset() })

  /// γ and β of all versions but the newest, as a ring. Slots that no version needs are 0.
  static let parameters = StateGroup(
    "learn_parameters", scope: .featureSlots(slots),
    columns: [.real("weight", initial: 0), .real("bias", initial: 0)], isOptional: true,
    merge: { rows, _ throws(StateError) in rows.reset() })

  /// The slot of the newest γ and β in the ring. It is 0 in files of versions without a ring, which had the newest first.
  static let ring = StateGroup(
    "learn_ring", scope: .stream, columns: [.count("head")], isOptional: true,
    validate: { rows throws(StateError) in
      let head = rows[count: "head"][0]
      guard head < slots else {
        throw .value(
          rows.label(of: "head", row: 0), expected: "at most \(slots - 1)", found: "\(head)")
      }
    },
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
    let slot = slot((state[head][0] + age - 1) % Self.slots, state)
    return (Array(state[weights][slot]), Array(state[biases][slot]))
  }

  private func slot(_ slot: Int, _ state: borrowing StateTable) -> Range<Int> {
    let count = state.features.count
    return slot * count..<(slot + 1) * count
  }

  /// Adds the version in force after an earlier one.
  func add(after earlier: ParametersInForce, _ state: inout StateTable) {
    var versions = state.take(last)
    if versions[0] != earlier.version {
      for row in versions.indices { versions[row] = earlier.version }
    }
    versions.removeLast()
    versions.insert(current(state), at: 0)
    state.put(versions, in: last)
    let newest = (state[head][0] + Self.slots - 1) % Self.slots
    state[head][0] = newest
    let slot = slot(newest, state)
    keep(earlier.parameters.weight, at: slot, in: weights, &state)
    keep(earlier.parameters.bias, at: slot, in: biases, &state)
  }

  private func keep(
    _ values: [Double], at slot: Range<Int>, in column: RealColumn, _ state: inout StateTable
  ) {
    // Out of the table, so that it has one owner and is changed in place.
    var ring = state.take(column)
    for (row, value) in zip(slot, values) { ring[row] = value }
    state.put(ring, in: column)
  }
}
