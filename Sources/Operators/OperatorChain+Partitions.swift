package import BatchNormalization
internal import Records
package import State

/// Takes moments, parameters and settings that come from other partitions of a stream, or from all of them.
extension OperatorChain {
  /// The newest event time of the running moments, in whole microseconds since 1970; nil without event times.
  package var newestTime: Double? { NormalizerColumns(in: state).newestTime(of: state) }

  /// Replaces the moments of other streams, by which the next batches are normalised too.
  ///
  /// - Throws: `OperatorError` for states of streams with other features or settings. Then nothing has changed.
  package mutating func setView(_ others: [StateTable]) throws(OperatorError) {
    do throws(StateError) {
      guard try NormalizerColumns(in: state).setView(of: &state, to: others) else { return }
    } catch {
      throw OperatorError("view", error)
    }
    state.add(1, to: versions.state)
  }

  /// The groups of a state that other partitions of a stream look at.
  package static let groupsForPeers = NormalizerColumns.groups + [StreamVersions.group]

  /// Replaces γ and β, with their version, by those of a stream that learns them for this one too.
  ///
  /// - Parameter other: a state with `groupsForPeers` or more.
  /// - Returns: whether they are others now.
  /// - Throws: `OperatorError` for a state with other features. Then nothing has changed.
  @discardableResult
  package mutating func takeParameters(of other: StateTable) throws(OperatorError) -> Bool {
    guard other.features == schema else {
      throw OperatorError(
        "parameters",
        StateError.otherTable(
          expected: "features \(listed(schema.names))", found: listed(other.features.names)))
    }
    let theirs = StreamVersions(in: other)
    let version = other[theirs.parameters][0]
    let (weight, bias) = (other[theirs.weight], other[theirs.bias])
    guard
      version != parametersVersion || weight != state[versions.weight]
        || bias != state[versions.bias]
    else { return false }
    (state[versions.weight], state[versions.bias]) = (weight, bias)
    state[versions.state][0] = max(stateVersion + 1, version)
    state[versions.parameters][0] = version
    return true
  }

  /// Uses other settings of normalisation from the next batch on. Does nothing if they are the same.
  ///
  /// - Throws: `OperatorError` if they do not fit the state. Then nothing has changed.
  package mutating func replaceNormalization(
    _ settings: NormalizationSettings
  ) throws(OperatorError) {
    for index in operators.indices {
      guard var normalize = operators[index] as? Normalize, normalize.settings != settings else {
        continue
      }
      try normalize.replaceSettings(settings, in: state)
      operators[index] = normalize
      state.add(1, to: versions.state)
    }
  }
}
