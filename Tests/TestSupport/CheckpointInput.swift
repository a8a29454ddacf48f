package import Records
package import Storage

extension Checkpoint {
  /// The cursor of the last open split.
  package var cursor: SplitCursor? { input?.splits.last }

  package var output: OutputPosition? {
    get { outputs[.output] }
    set { outputs[.output] = newValue }
  }

  package var deadLetters: OutputPosition? {
    get { outputs[.deadLetters] }
    set { outputs[.deadLetters] = newValue }
  }
}
