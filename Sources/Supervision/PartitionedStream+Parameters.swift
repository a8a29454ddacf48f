internal import Dataflow
internal import Operators
internal import Stream

/// A version of γ and β that a partition was asked to take.
struct AskedParameters {
  var version: Int
  var isAnswered = false
}

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

  /// Has the other partitions write a state, and so take γ and β, after these have changed. A partition without records
  /// would keep old ones. Runs on the queue.
  func spreadParameters(of peers: PeerStates) {
    guard let version = peers.learnedVersion else { return }
    for part in parts where part.partition != PeerStates.learningPartition {
      let partition = part.partition
      // One that has no records yet takes them when it begins.
      guard let snapshot = part.stream.snapshot, snapshot.settings != nil,
        snapshot.parametersVersion != version,
        asked[partition].map({ $0.isAnswered && $0.version != version }) ?? true
      else { continue }
      asked[partition] = AskedParameters(version: version)
      part.stream.request(.checkpoint) { [weak self] result in
        self?.queue.async { [weak self] in
          if case .success = result {
            self?.asked[partition]?.isAnswered = true
          } else {
            self?.asked[partition] = nil
          }
        }
      }
    }
  }
}
