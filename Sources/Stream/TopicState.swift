internal import Connectors
internal import Dataflow
internal import Records
internal import Storage

/// The place of the state of one partition: a partition of another topic.
struct TopicState: Sendable {
  /// The partition of the input.
  var partition: TopicPartition
  var owner: StateOwner
  /// Whether the stream adopts the fitting part of a state with other features or settings.
  var adopts = false
  /// The directory of the dead letters.
  var directory: String
  /// The states of other partitions; nil if the partition takes nothing from them.
  var peers: PeerReading?
  var open: @Sendable (ConnectorContext) throws(FileError) -> any StateLog
}

/// How long the brokers tell nothing while a state topic is read.
struct BrokerSilence {
  private let clock: Clock
  private let mostSeconds: Double
  private var end: Instant

  /// - Parameter mostSeconds: the longest time.
  init(_ clock: Clock, mostSeconds: Double = 30) {
    (self.clock, self.mostSeconds) = (clock, mostSeconds)
    end = clock.now() + mostSeconds
  }

  /// Takes note of news.
  mutating func takeNews() { end = clock.now() + mostSeconds }

  var isTooLong: Bool { clock.now() >= end }

  /// - Throws: an error after the longest time.
  func check(_ log: String) throws(FileError) {
    guard isTooLong else { return }
    throw FileError(
      operation: .read, path: log,
      reason: "no news from the brokers for \(Int(mostSeconds)) s")
  }
}

/// The keys of the messages in a state topic.
enum StateKey {
  /// A checkpoint file.
  static let state = "state"
  /// The owner of the partition, as JSON.
  static let claim = "claim"
  /// The position at which the partition began, until there is a state.
  static let start = "start"
  /// In partition 0: the last change by users of a subject, which follows the prefix.
  static let control = "control/"
}

/// The states of a log that may be the newest one, best first.
///
/// Moments are a function of the input up to an offset, so the state with the highest offset is the newest, from any owner.
/// Of several with the same offset the one with the highest number counts, since γ and β may have been learned meanwhile;
/// of these the last one. A state that was written after another claim than its own came late: its owner has written no
/// output after it, and the next one may have made other changes by users at other offsets. It counts only if there is no
/// other one.
struct StateCandidates: Sendable {
  /// More are not kept: if all of these are damaged, something else is wrong.
  private static let mostStates = 3

  private var states: [(message: StateMessage, isInTime: Bool)] = []
  /// The offset of the last claim.
  private var claim: Int?
  /// The position at which the partition began.
  private(set) var start: [UInt8]?
  /// A state that does not tell its offset.
  private var unreadable: StateMessage?

  mutating func take(_ message: StateMessage) {
    switch message.key {
    case StateKey.start: start = message.value
    case StateKey.claim: claim = message.offset
    case StateKey.state: takeState(message)
    default: break
    }
  }

  private mutating func takeState(_ message: StateMessage) {
    guard message.value != nil else {
      // Somebody has removed the state, to begin again.
      (states, unreadable) = ([], nil)
      return
    }
    guard let offset = message.inputOffset else {
      unreadable = message
      return
    }
    let isInTime = claim == nil || message.claim == nil || message.claim == claim
    let index =
      states.firstIndex { other, isOtherInTime in
        isOtherInTime == isInTime
          ? (other.inputOffset ?? -1, other.epoch) <= (offset, message.epoch) : isInTime
      } ?? states.count
    states.insert((message, isInTime), at: index)
    if states.count > Self.mostStates { states.removeLast() }
  }

  /// The newest intact state and its number, with the errors of newer, damaged ones; nil if there never was one.
  ///
  /// - Parameters:
  ///   - partition: the one whose state it must be; nil for any.
  ///   - log: the name of the log.
  func newest(
    of partition: TopicPartition?, in log: String, _ reading: StateReading
  ) throws(StreamError) -> (found: CheckpointStore.Found, epoch: Int)? {
    var skipped: [StorageError] = []
    for (message, _) in states {
      let place = message.place(in: log)
      let checkpoint: Checkpoint
      do throws(ContentError) {
        checkpoint = try message.checkpoint(of: partition, reading)
      } catch {
        let fault = StorageError.content(path: place, error)
        guard fault.isDamage else { throw StreamError(fault) }
        skipped.append(fault)
        continue
      }
      if let partition, checkpoint.offset(of: partition) == nil {
        let other = checkpoint.input?.splits.first?.split ?? "another input"
        throw .configuration(
          "\(place): expected the state of \(partition), found that of \(printable(other)): name another state topic"
        )
      }
      return (
        CheckpointStore.Found(checkpoint: checkpoint, path: place, skipped: skipped), message.epoch
      )
    }
    if skipped.isEmpty, let unreadable {
      let missing = ContentError.unexpected(
        part: StateHeader.offset, expected: "an offset", found: "none")
      skipped = [.content(path: unreadable.place(in: log), missing)]
    }
    guard skipped.isEmpty else {
      throw .badFile(.noWholeCheckpoint(directory: log, skipped))
    }
    return nil
  }
}

extension StateMessage {
  fileprivate func place(in log: String) -> String {
    offset.map { "\(log) at offset \($0)" } ?? log
  }

  /// The checkpoint that the message holds. The header must tell its offset.
  fileprivate func checkpoint(
    of partition: TopicPartition?, _ reading: StateReading
  ) throws(ContentError) -> Checkpoint {
    let checkpoint = try Checkpoint(serialized: value ?? [], reading)
    if let partition, let offset = checkpoint.offset(of: partition), offset != inputOffset {
      throw .unexpected(
        part: StateHeader.offset, expected: "\(offset) as in the state",
        found: inputOffset.map { "\($0)" } ?? "none")
    }
    return checkpoint
  }
}

extension Checkpoint {
  /// The offset of the next message of a partition; nil if the state is of another input.
  func offset(of partition: TopicPartition) -> Int? {
    input.flatMap { partition.offset(in: $0) }
  }
}
