internal import BatchNormalization
internal import Operators

extension OperateStage {
  /// The answer to a question about the keys of the stream.
  func keys(_ query: KeyQuery) -> Result<CommandAnswer, CommandRefusal> {
    guard configuration.normalization.key != nil else {
      return .failure(
        .unfit("stream '\(configuration.name)': expected key.columns in its settings, found none"))
    }
    guard let operators else { return .failure(.notRunning(configuration.name)) }
    return .success(.keys(KeyReport(query, of: operators.state)))
  }
}
