internal import State

// A delta has all of the state, but of its keys only those that changed since the checkpoint before it.

/// The metadata of a delta.
struct DeltaDescription: Codable {
  /// The checksum of the checkpoint that it continues.
  var after: String
  /// The number of keys after the change.
  var count: Int
}

extension Checkpoint {
  /// The rows of the keys of a delta.
  static let rowsName = "evenkeel.keys.rows"

  /// The whole checkpoint that a delta and the whole one before it make.
  package func joined(to earlier: consuming Checkpoint) throws(ContentError) -> Checkpoint {
    guard let delta else { return self }
    var joined = self
    do throws(StateError) {
      var state = earlier.state
      // So that its rows have one owner, and are changed in place.
      earlier.state = state.withoutKeys
      if state.groups != self.state.groups { state = state.regrouped(to: self.state.groups) }
      try state.apply(self.state, delta)
      joined.state = state
    } catch {
      throw .state(error)
    }
    joined.delta = nil
    return joined
  }
}
