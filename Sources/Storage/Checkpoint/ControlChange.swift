internal import Records
internal import State

/// A change by a user that every partition of a stream makes, each at a state of its own.
///
/// The state has the last one of each subject, so that a replay and a restart go on with them, and make none twice.
package struct ControlChange: Sendable, Equatable, Codable {
  /// The name of the update, such as `freeze`.
  package var change: String
  /// That of the update `mode`; nil for another one.
  package var mode: String?
  /// The offset of its message in the state topic. Of two changes of a subject, the later one has the higher offset.
  package var offset: Int

  package init(_ change: String, mode: String? = nil, offset: Int) {
    (self.change, self.mode, self.offset) = (change, mode, offset)
  }
}

extension Checkpoint {
  /// Checks the changes by users.
  func validateControl() throws(ContentError) {
    for (subject, change) in control where !(0...StateColumn.countLimit).contains(change.offset) {
      throw .unexpected(
        part: "control \(quoted(subject))", expected: "an offset of 0 to 2^53",
        found: "\(change.offset)")
    }
  }
}
