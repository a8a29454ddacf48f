internal import BatchNormalization
internal import State

/// The versions of a stream's state. `OperatorChain` owns them; no operator changes them.
struct StreamVersions: Sendable {
  /// Increases with each batch that moves the moments, and with each update.
  let state: CountColumn
  /// The state version at which γ or β last changed.
  let parameters: CountColumn
  /// γ and β.
  let weight, bias: RealColumn

  init(in table: borrowing StateTable) {
    state = table.count("state", of: "versions")
    parameters = table.count("parameters", of: "versions")
    let affine = NormalizerColumns(in: table)
    (weight, bias) = (affine.weight, affine.bias)
  }

  static let group = StateGroup(
    "versions", scope: .stream, columns: [.count("state"), .count("parameters")],
    validate: { rows throws(StateError) in
      let (state, parameters) = (rows[count: "state"][0], rows[count: "parameters"][0])
      guard parameters <= state else {
        throw .value(
          rows.label(of: "parameters", row: 0), expected: "at most the state version, \(state)",
          found: "\(parameters)")
      }
    },
    // The merged state has all changes of both states.
    merge: { rows, other throws(StateError) in
      rows[count: "state"][0] += other[count: "state"][0]
      rows[count: "parameters"][0] = max(
        rows[count: "parameters"][0], other[count: "parameters"][0])
    })
}
