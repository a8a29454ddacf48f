internal import BatchNormalization
internal import Connectors
internal import Dataflow
internal import Logging
internal import Operators
internal import Storage
internal import Stream

/// A request to a partition to take a version of γ and β, and the changes by users up to an offset.
struct AskedState {
  struct Wanted: Equatable {
    var version: Int?
    var control: Int
  }

  var wanted: Wanted
  var isAnswered = false
}

/// The changes by users that all partitions make, in whichever process.
extension PartitionedStream {
  /// The subject of an update that all partitions make; nil for another one.
  func subject(of update: StreamUpdate) -> String? {
    let updates = definition.stream.operators.flatMap { $0.declaration.updates }
    return updates.first { $0.name == update.name }?.subject
  }

  /// Stores a change in the state topic. Each partition makes it at its next state.
  func changeAll(_ update: StreamUpdate, of subject: String, reply: @escaping CommandReply) {
    if let fault = definition.stream.normalization.after(update).modeFault {
      return reply(.failure(.refused(OperatorError("normalize", fault))))
    }
    let message = RequestedChange.message(
      update, of: subject, by: StateOwner.make(context.clock))
    changeQueue.async { [topic, connector, logger] in
      do throws(FileError) {
        let offset = try topic.store(message, in: PeerStates.controlPartition, connector)
        logger.notice(
          "change stored for all partitions",
          metadata: ["update": "\(update.name)", "offset": "\(offset)"])
        reply(.success(.accepted(offset)))
      } catch {
        reply(
          .failure(.unfit("the change is not stored, or it is not known whether it is: \(error)")))
      }
    }
  }

  /// Tells the changes by users that are in force when the stream starts: the settings of the file may say something else.
  func tellChanges(of peers: PeerStates) {
    for each in peers.requestedChanges.values.sorted(by: { $0.change.offset < $1.change.offset }) {
      logger.notice(
        "a change by a user is in force",
        metadata: [
          "update": "\(each.change.change)", "by": "\(each.by.text)",
          "offset": "\(each.change.offset)",
        ])
    }
  }

  /// The changes by users, with the partitions of this process that have made them.
  func control(of shown: Shown) -> [ControlStatus] {
    let made = shown.parts.map { ($0.partition, $0.stream.snapshot?.control ?? [:]) }
    let requested = shown.peers?.requestedChanges ?? [:]
    return requested.map { subject, each in
      let having = made.filter { $0.1[subject]?.offset ?? -1 >= each.change.offset }.map(\.0)
      return ControlStatus(
        change: each.change.change, mode: each.change.mode, offset: each.change.offset,
        host: each.by.host, pid: each.by.pid, wallSeconds: each.by.since, partitions: having,
        waiting: made.map(\.0).filter { !having.contains($0) })
    }.sorted { $0.offset < $1.offset }
  }

  /// Has partitions write a state, and so take γ and β or make changes by users, after there are new ones. A partition
  /// without records would keep old ones. Runs on the queue.
  func spread(_ peers: PeerStates) {
    let wanted = AskedState.Wanted(version: peers.learnedVersion, control: peers.controlOffset)
    for part in parts {
      let partition = part.partition
      // One that has no records yet takes them when it begins.
      guard let snapshot = part.stream.snapshot, snapshot.settings != nil else { continue }
      let lacksParameters =
        partition != PeerStates.learningPartition && wanted.version != nil
        && snapshot.parametersVersion != wanted.version
      let made = snapshot.control.values.map(\.offset).max() ?? -1
      guard lacksParameters || made < wanted.control,
        asked[partition].map({ $0.isAnswered && $0.wanted != wanted }) ?? true
      else { continue }
      asked[partition] = AskedState(wanted: wanted)
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
