package import Records
package import State

/// The state of a stream between two batches: everything that a later run needs to resume, and that another tool
/// needs to apply the transform.
///
/// `validate()` defines the rules. A file that breaks them is neither read nor written.
package struct Checkpoint: Sendable, Equatable {
  package var state: StateTable
  /// The settings of the estimator as text, such as `"momentum": "0.1"`; empty if unknown.
  package var settings: [String: String]
  /// The position at which a later run resumes the input, if it can.
  package var input: InputCursor?
  /// The position at which a later run resumes the gradients of γ and β; nil if the stream has had none.
  package var gradients: GradientCursor?
  /// The positions in those outputs that are files.
  package var outputs: [SinkID: OutputPosition] = [:]
  /// The settings and the selected features of the stream that adopted this state after a reload. The stream takes
  /// the part that fits. Cleared when the stream's own batches have updated the state.
  package var adoptedBy: [String: String]?
  /// The changes by users that the stream has made, by their subjects; empty unless its state is in a topic.
  package var control: [String: ControlChange] = [:]
  /// If the state has only the keys that changed since the checkpoint before, the rows of these; nil for a whole
  /// checkpoint.
  package var delta: KeyDelta?

  /// The version of the format that is written. Files of another major version are refused.
  package static let formatVersion = 2

  package init(_ state: StateTable, settings: [String: String] = [:]) {
    self.state = state
    self.settings = settings
  }

  package var features: [String] { state.features.names }
}

extension Checkpoint {
  /// Checks the state by the rules of its groups, and that all numbers of bytes and records are 0 to 2^53.
  package func validate() throws(ContentError) {
    do throws(StateError) {
      try state.validate()
    } catch {
      throw .state(error)
    }
    try validateControl()
    if let batches = gradients?.batches, !(0...StateColumn.countLimit).contains(batches) {
      throw .unexpected(part: "gradients", expected: "0 to 2^53 batches", found: "\(batches)")
    }
    for split in (input?.splits ?? []) + (gradients?.input.splits ?? []) {
      let numbers = [
        split.records, split.byteOffset, split.container?.offset ?? 0,
        split.container?.bytesWithin ?? 0,
      ]
      guard numbers.allSatisfy((0...StateColumn.countLimit).contains) else {
        throw .unexpected(part: "input", expected: "0 to 2^53", found: "\(numbers)")
      }
    }
    for (sink, position) in outputs where !(0...StateColumn.countLimit).contains(position.byteCount)
    {
      throw .unexpected(
        part: "output \(sink.name)", expected: "0 to 2^53 bytes", found: "\(position.byteCount)")
    }
  }
}

extension FeatureSchema {
  /// The schema for the names in a file.
  init(named names: [String]) throws(ContentError) {
    do throws(FeatureError) {
      self = try FeatureSchema(names)
    } catch {
      throw .features(error)
    }
  }
}
