internal import BatchNormalization
package import Connectors
internal import Dataflow
internal import Operators
internal import Records
internal import State
package import Storage

// Invariants:
// - `newest`, `adopted`, `owner`, `changes`, `waiting` and `warned` are only touched with `lock` held; `tail` only by the
//   one who calls `refresh`.
// - A state of a partition replaces one with a lower offset, and never one with a higher one. With the same offset the
//   number of the state decides.

/// How a partition reads the states of the others, and the changes by users.
struct PeerReading: Sendable {
  /// The states of the others, for the newest event time of the partition itself, that have made the reset at an offset
  /// too; nil if it is normalised by its own moments.
  var view: (@Sendable (_ newest: Double?, _ reset: Int) -> [StateTable])?
  /// The state of the partition that learns γ and β for this one; nil if there is none.
  var learner: @Sendable () -> StateTable?
  /// The last changes by users, by their subjects.
  var control: @Sendable () -> [String: ControlChange] = { [:] }
  /// Tells a problem that does not stop the stream, once.
  var warn: @Sendable (String) -> Void
  /// Tells why a change by a user cannot be made.
  var refuse: @Sendable (String) -> Void = { _ in }
}

/// The newest states of the partitions of a stream, from whichever process, and the last changes by users. Each partition
/// makes these changes. It may be normalised by the moments of all, or by the γ and β that one of them learns.
package final class PeerStates: @unchecked Sendable {
  // @unchecked because of the first invariant.

  /// The partition that learns γ and β for all.
  package static let learningPartition = 0
  /// The partition of the state topic with the changes by users.
  package static let controlPartition = 0
  /// The most messages of one `refresh`.
  private static let mostMessages = 10_000

  private struct Peer {
    var state: StateTable
    /// The offset of the next message of the input after the state, and the number of the state.
    var offset, epoch: Int
    /// The offset of the last reset that it has made; -1 without one.
    var reset: Int
    /// The newest event time, in whole microseconds since 1970; nil without event times.
    var time: Double?
    /// When it came.
    var since: Instant
  }

  private let tail: any StateTail
  private let reading: StateReading
  private let learns: Bool
  /// Nil if each partition is normalised by its own moments.
  private let aheadMicroseconds: Double?
  private let clock: Clock
  private let lock = Lock()
  /// By partition.
  private var newest: [Int: Peer] = [:]
  /// The states that a partition, the first number, has of others.
  private var adopted: [Int: [Int: Peer]] = [:]
  /// The owner of the partition that learns.
  private var owner: StateOwner?
  /// The last changes by users, by their subjects.
  private var changes: [String: RequestedChange] = [:]
  private var waiting: [String] = []
  private var warned: Set<Int> = []

  /// Reads the topic to its end. Without moments of others, that of the partition that learns and has the changes by users.
  ///
  /// - Parameter aheadSeconds: how much newer, in event time, a state of another partition may be; nil if each partition
  ///   is normalised by its own moments.
  package convenience init(
    _ topic: PartitionedTopic, of configuration: StreamConfiguration, aheadSeconds: Double?,
    in context: ConnectorContext
  ) throws(FileError) {
    let partitions = aheadSeconds == nil ? [Self.controlPartition] : nil
    try self.init(
      topic.tail(of: partitions, in: context), configuration.stateReading,
      aheadSeconds: aheadSeconds, learns: configuration.learns, clock: context.clock)
  }

  init(
    _ tail: any StateTail, _ reading: StateReading, aheadSeconds: Double?, learns: Bool = false,
    clock: Clock
  ) throws(FileError) {
    self.tail = tail
    self.reading = reading
    self.learns = learns
    self.clock = clock
    aheadMicroseconds = aheadSeconds.map { $0 * 1e6 }
    var silence = BrokerSilence(clock)
    while !tail.isAtEnds {
      if let (partition, message) = try tail.next(waiting: 1) {
        take(message, of: partition)
        silence.takeNews()
      } else {
        try silence.check(tail.name)
      }
    }
  }

  /// Takes the states that have come.
  ///
  /// - Returns: problems that do not stop the stream.
  package func refresh() throws(FileError) -> [String] {
    for _ in 0..<Self.mostMessages {
      guard let (partition, message) = try tail.next(waiting: 0) else { break }
      take(message, of: partition)
    }
    return lock.withLock {
      defer { waiting = [] }
      return waiting
    }
  }

  /// How long ago the newest state of a partition came, in seconds: the longest of all; nil before the first.
  package var age: Double? {
    let now = clock.now()
    return lock.withLock { newest.values.map { now.seconds(since: $0.since) }.max() }
  }

  /// The process that learns γ and β, in words; nil if none has claimed the partition.
  package var learnerText: String? { lock.withLock { owner?.text } }

  /// The version of the γ and β that are learned; nil before the first state.
  package var learnedVersion: Int? { learner.map(OperatorChain.parametersVersion) }

  private var learner: StateTable? {
    lock.withLock { learns ? newest[Self.learningPartition]?.state : nil }
  }

  /// How a partition reads the states of the others.
  func reading(for partition: Int) -> PeerReading {
    var reading = PeerReading(
      learner: { [self] in partition == Self.learningPartition ? nil : learner },
      control: { [self] in requestedChanges.mapValues(\.change) },
      warn: { [self] text in lock.withLock { warn(text, of: partition) } },
      refuse: { [self] text in lock.withLock { waiting.append("partition \(partition): \(text)") } }
    )
    if let ahead = aheadMicroseconds {
      reading.view = { [self] newest, reset in
        view(for: partition, newest: newest, reset: reset, ahead: ahead)
      }
    }
    return reading
  }

  /// The states of the others. One that is too much newer than the partition waits, and an earlier one stays.
  ///
  /// - Parameters:
  ///   - time: the newest event time of the partition; nil without one.
  ///   - reset: the offset of a reset. The moments of a partition that has not made it are left out.
  ///   - ahead: how much newer another one may be, in microseconds.
  private func view(
    for partition: Int, newest time: Double?, reset: Int, ahead: Double
  ) -> [StateTable] {
    lock.withLock {
      for (other, peer) in newest where other != partition {
        if let time, let otherTime = peer.time, otherTime > time + ahead { continue }
        adopted[partition, default: [:]][other] = peer
      }
      return (adopted[partition] ?? [:]).filter { $0.value.reset >= reset }
        .sorted { $0.key < $1.key }.map(\.value.state)
    }
  }

  private func take(_ message: StateMessage, of partition: Int) {
    if message.key == StateKey.claim, partition == Self.learningPartition, let value = message.value
    {
      lock.withLock { owner = StateOwner(claim: value) }
    }
    if message.key.hasPrefix(StateKey.control), partition == Self.controlPartition {
      return lock.withLock { take(change: message) }
    }
    guard message.key == StateKey.state, learns || aheadMicroseconds != nil else { return }
    guard let value = message.value else {
      // Somebody has removed the state, to begin the partition again.
      return lock.withLock {
        newest[partition] = nil
        for each in adopted.keys { adopted[each]?[partition] = nil }
      }
    }
    guard let offset = message.inputOffset else { return }
    do throws(ContentError) {
      let checkpoint = try Checkpoint(serialized: value, reading)
      let state = checkpoint.state.regrouped(to: OperatorChain.groupsForPeers)
      let time = NormalizerColumns(in: state).newestTime(of: state)
      lock.withLock {
        let epoch = message.epoch
        if let known = newest[partition], (known.offset, known.epoch) > (offset, epoch) { return }
        newest[partition] = Peer(
          state: state, offset: offset, epoch: epoch,
          reset: checkpoint.control[StreamControl.reset]?.offset ?? -1, time: time,
          since: clock.now())
        warned.remove(partition)
      }
    } catch {
      lock.withLock {
        warn(
          "\(tail.name)/\(partition): a state is not taken, the one before it stays: \(error)",
          of: partition)
      }
    }
  }

  /// The last changes by users, by their subjects.
  package var requestedChanges: [String: RequestedChange] { lock.withLock { changes } }

  /// The offset of the last change by users; -1 before the first.
  package var controlOffset: Int { requestedChanges.values.map(\.change.offset).max() ?? -1 }

  /// Takes a change by a user.
  private func take(change message: StateMessage) {
    let subject = String(message.key.dropFirst(StateKey.control.count))
    guard let value = message.value else {
      // Somebody has removed it, to begin again.
      changes[subject] = nil
      return
    }
    guard let change = RequestedChange(value, offset: message.offset ?? -1),
      changes[subject] != nil || changes.count < StreamControl.mostSubjects
    else {
      waiting.append(
        "\(tail.name)/\(Self.controlPartition) at offset \(message.offset ?? -1): expected a change by a user, "
          + "found another text: it is not made")
      return
    }
    changes[subject] = change
  }

  /// Once for each partition, until it has a state that can be taken.
  private func warn(_ text: String, of partition: Int) {
    if warned.insert(partition).inserted { waiting.append(text) }
  }
}
