internal import Storage
internal import Stream

/// The reason why a stream stopped, for operators.
struct StreamFailure: Sendable, Equatable {
  /// For users who may see the contents of records.
  let text: String
  /// Without the contents of records.
  let textForLog: String
  /// One word for metrics, from a small fixed set.
  let reason: String
  /// Whether a restart does not help.
  let isPermanent: Bool

  init(_ error: any Error) {
    guard let error = error as? StreamError else {
      (text, textForLog) = ("\(error)", "\(error)")
      (reason, isPermanent) = ("other", false)
      return
    }
    let hint = if case .badInput(_, .columns) = error { "; see on_schema_change" } else { "" }
    text = Catalogue.wordsOfFile("\(error)") + hint
    textForLog = Catalogue.wordsOfFile(error.withoutContents) + hint
    (reason, isPermanent) =
      switch error {
      case .badRecord: ("bad_record", false)
      case .badInput, .badNumbers, .heldTooMany: ("bad_input", false)
      case .inputChanged: ("input_changed", false)
      case .badFile: ("bad_file", false)
      case .stateRefused: ("state", false)
      case .inputMissing: ("input_missing", false)
      case .outputRefused: ("output", false)
      case .inputOutput: ("io", false)
      case .format, .compression, .operators, .threads, .configuration:
        (
          "configuration", true
        )
      // A newer process has it, and a restart would take it away again.
      case .claimed(_, _, _, let isFinal): ("claimed", isFinal)
      case .notDrained: ("not_drained", false)
      case .noReader: ("no_reader", false)
      case .interrupted: ("interrupted", false)
      }
  }
}
