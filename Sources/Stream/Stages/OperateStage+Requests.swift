internal import BatchNormalization
internal import Operators

/// Carries out the requests of users and of trainers between two batches.
extension OperateStage {
  /// Carries out requests in their order, and answers them.
  ///
  /// The changes are shown once, since that costs as much as many steps of learning.
  mutating func carryOut(_ requests: [StreamRequest]) throws(StreamError) {
    var answers: [(request: StreamRequest, result: Result<CommandAnswer, CommandRefusal>)] = []
    answers.reserveCapacity(requests.count)
    for request in requests { answers.append((request, try result(of: request.command))) }
    // A caller must see the change when it gets the reply.
    show(atOnce: true)
    for answer in answers { answer.request.answer(answer.result) }
  }

  private mutating func result(
    of command: StreamCommand
  ) throws(StreamError) -> Result<CommandAnswer, CommandRefusal> {
    switch command {
    case .keys(let query): return keys(query)
    // IngestStage turns it into a barrier.
    case .checkpoint: break
    case .update(let update):
      do throws(OperatorError) {
        try operators?.apply(update)
      } catch {
        return .failure(.refused(error))
      }
      // From here on, the settings of this run move the moments.
      if operators?.normalization?.isFrozen == false { checkpoints.origin = .ownSettings }
      if !command.isFrequent {
        units.add([.applied(update: update.name, stateVersion: operators?.stateVersion ?? 0)])
      }
      addEvents()
      display.hasChanged = true
      if operators?.releasesHeld == true { try releaseHeld() }
    }
    return .success(.done(operators?.stateVersions))
  }
}
