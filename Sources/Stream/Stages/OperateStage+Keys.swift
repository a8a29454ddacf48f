internal import BatchNormalization
internal import Operators

extension OperateStage {
  /// The answer to a question about the keys of the stream.
  func keys(_ query: KeyQuery) -> Result<CommandAnswer, CommandRefusal> {
    guard configuration.normalization.hasKeyRows else {
      return .failure(
        .unfit(
          "stream '\(configuration.name)': expected key.columns or weight.class in its settings, found "
            + "neither"))
    }
    guard let operators else { return .failure(.notRunning(configuration.name)) }
    return .success(.keys(KeyReport(query, of: operators.state)))
  }
}
