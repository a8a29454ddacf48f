internal import BatchNormalization
package import Connectors
internal import Dataflow
internal import Records
internal import State
package import Storage

// Invariants:
// - `newest`, `adopted`, `waiting` and `warned` are only touched with `lock` held; `tail` only by the one who calls
//   `refresh`.
// - A state of a partition replaces one with a lower offset, and never one with a higher one.

/// How a partition reads the moments of the others.
struct PeerReading: Sendable {
  /// The states of the others, for the newest event time of the partition itself.
  var view: @Sendable (_ newest: Double?) -> [StateTable]
  /// Tells a problem that does not stop the stream.
  var warn: @Sendable (String) -> Void
}

/// The newest states of all partitions of a stream, from whichever process, so that each partition is normalised by all
/// moments.
package final class PeerStates: @unchecked Sendable {
  // @unchecked because of the first invariant.

  /// The most messages of one `refresh`.
  private static let mostMessages = 10_000

  private struct Peer {
    var state: StateTable
    /// The offset of the next message of the input after the state.
    var offset: Int
    /// The newest event time, in whole microseconds since 1970; nil without event times.
    var time: Double?
    /// When it came.
    var since: Instant
  }

  private let tail: any StateTail
  private let reading: StateReading
  private let aheadMicroseconds: Double
  private let clock: Clock
  private let lock = Lock()
  /// By partition.
  private var newest: [Int: Peer] = [:]
  /// The states that a partition, the first number, has of others.
  private var adopted: [Int: [Int: Peer]] = [:]
  private var waiting: [String] = []
  private var warned: Set<Int> = []

  /// Reads the topic to its end.
  ///
  /// - Parameter aheadSeconds: how much newer, in event time, a state of another partition may be.
  package convenience init(
    _ topic: PartitionedTopic, of configuration: StreamConfiguration, aheadSeconds: Double,
    in context: ConnectorContext
  ) throws(FileError) {
    try self.init(
      topic.tail(in: context), configuration.stateReading, aheadSeconds: aheadSeconds,
      clock: context.clock)
  }

  init(
    _ tail: any StateTail, _ reading: StateReading, aheadSeconds: Double, clock: Clock
  ) throws(FileError) {
    self.tail = tail
    self.reading = reading
    self.clock = clock
    aheadMicroseconds = aheadSeconds * 1e6
    var left = tail.ends.map { $0 - 1 }
    var silence = BrokerSilence(clock)
    while left.contains(where: { $0 >= 0 }) {
      guard let (partition, message) = try tail.next(waiting: 1) else {
        try silence.check(tail.name)
        continue
      }
      take(message, of: partition)
      if left.indices.contains(partition), message.offset ?? 0 >= left[partition] {
        left[partition] = -1
      }
      silence.takeNews()
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

  /// How a partition reads the moments of the others.
  func reading(for partition: Int) -> PeerReading {
    PeerReading(
      view: { [self] in view(for: partition, newest: $0) },
      warn: { [self] text in lock.withLock { warn(text, of: partition) } })
  }

  /// The states of the others. One that is too much newer than the partition waits, and an earlier one stays.
  ///
  /// - Parameter time: the newest event time of the partition; nil without one.
  func view(for partition: Int, newest time: Double?) -> [StateTable] {
    lock.withLock {
      for (other, peer) in newest where other != partition {
        if let time, let otherTime = peer.time, otherTime > time + aheadMicroseconds { continue }
        adopted[partition, default: [:]][other] = peer
      }
      return (adopted[partition] ?? [:]).sorted { $0.key < $1.key }.map(\.value.state)
    }
  }

  private func take(_ message: StateMessage, of partition: Int) {
    guard message.key == StateKey.state else { return }
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
      let state = checkpoint.state.regrouped(to: NormalizerColumns.groups)
      let time = NormalizerColumns(in: state).newestTime(of: state)
      lock.withLock {
        if let known = newest[partition], known.offset > offset { return }
        newest[partition] = Peer(state: state, offset: offset, time: time, since: clock.now())
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

  /// Once for each partition, until it has a state that can be taken.
  private func warn(_ text: String, of partition: Int) {
    if warned.insert(partition).inserted { waiting.append(text) }
  }
}
