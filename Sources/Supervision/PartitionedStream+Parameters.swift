internal import Dataflow
internal import Operators
internal import Stream

/// γ and β that one partition learns for all.
extension PartitionedStream {
  /// Whether a command changes γ and β, and a stream that learns must make it in one place.
  func concernsLearner(_ command: StreamCommand) -> Bool {
    guard definition.stream.learns, case .update(let update) = command else { return false }
    return definition.stream.operators.contains { each in
      each.declaration.updates.contains { $0.name == update.name && $0.isOfParameters }
    }
  }

  /// Requests a command of the partition that learns, or tells which process has it.
  func requestOfLearner(_ command: StreamCommand, reply: @escaping CommandReply) {
    let number = PeerStates.learningPartition
    guard let part = parts.first(where: { $0.partition == number }) else {
      guard let peers else { return reply(.failure(.notRunning(definition.name))) }
      let owner = peers.learnerText.map { "\($0) has: send it there" } ?? "no process has yet"
      return reply(
        .failure(
          .unfit(
            "stream '\(definition.name)' learns γ and β in partition \(number), which \(owner)"
          )))
    }
    part.stream.request(command, reply: reply)
  }
}
