internal import Connectors
internal import Dataflow
internal import Records
internal import Storage

// Invariants:
// - Every message of the log up to `seen` was looked at. A claim of another owner after our own ends the run.
// - A state counts as stored when it was read back (`settle`). So no output after it is written if another owner had
//   claimed the partition before it. With transactions the brokers refuse such a state, so that none is read back.

/// Stores every state of one partition in a partition of a topic of its own, which it claims first.
struct TopicCheckpoints: CheckpointKeeper {
  /// The state from which a run starts.
  struct Restored {
    var found: CheckpointStore.Found?
    /// The position at which the partition began, if there is no state.
    var start: OpaqueBytes?
  }

  private let log: any StateLog
  private let place: TopicState
  private let stream: String
  private let clock: Clock
  /// The offset of our claim.
  private var claimOffset = 0
  /// Whether a claim of ours was read, of this run or of an earlier one.
  private var hasClaimed = false
  /// The offset of the last message that was read.
  private var seen = -1
  /// The number of states up to the last one.
  private var epoch = 0
  private var isStoring = false

  /// Claims the partition. Waits until the claim is stored.
  init(
    _ place: TopicState, of stream: String, in context: ConnectorContext
  ) throws(StreamError) {
    self.place = place
    self.stream = stream
    clock = context.clock
    do throws(FileError) {
      log = try place.open(context)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    try append(StateKey.claim, place.owner.claim)
    claimOffset = try waitUntilStored()
  }

  /// Reads the log up to our claim. Everything that earlier owners have written comes before it.
  mutating func restore(_ reading: StateReading) throws(StreamError) -> Restored {
    var candidates = StateCandidates()
    var silence = BrokerSilence(clock)
    while seen < claimOffset {
      if let message = try next() {
        try look(at: message)
        candidates.take(message)
        silence.takeNews()
      } else {
        try wait(silence)
      }
    }
    if log.isExclusive { log.endReading() }
    if let (found, epoch) = try candidates.newest(of: place.partition, in: log.name, reading) {
      self.epoch = epoch
      return Restored(found: found)
    }
    try refuseCommits()
    let start = candidates.start.map { OpaqueBytes($0) }
    if let start, place.partition.offset(in: InputCursor(done: start)) == nil {
      throw .configuration(
        "\(log.name): expected the state of \(place.partition), found that of \(printable(start.text)): name another "
          + "state topic")
    }
    return Restored(start: start)
  }

  /// Refuses a partition without a state of which the group has processed a part: it had one.
  private func refuseCommits() throws(StreamError) {
    let offset: Int?
    do throws(FileError) {
      offset = try log.committed()
    } catch {
      throw .inputOutput(error)
    }
    guard let offset else { return }
    throw .configuration(
      "\(log.name): expected a state of \(place.partition), since the group has processed it up to offset \(offset), found "
        + "none: restore the state topic; to begin again, delete the offsets of the group, or name another one"
    )
  }

  /// Stores the position at which the partition begins, so that a restart without a state begins there too.
  mutating func begin(at start: OpaqueBytes) throws(StreamError) {
    try append(StateKey.start, start.bytes)
    _ = try waitUntilStored()
  }

  /// The transactions of the states, for the output that belongs to them; nil without them.
  var transactions: KafkaTransactions? { log.transactions }

  // MARK: CheckpointKeeper

  // The log keeps the last message of a key alone, so each must be whole.
  var takesDeltas: Bool { false }

  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int {
    var checkpoint = checkpoint
    // The files are those of one machine.
    checkpoint.outputs = [:]
    let bytes: [UInt8]
    do throws(ContentError) {
      bytes = try checkpoint.serialized()
    } catch {
      throw .content(path: log.name, error)
    }
    guard let offset = checkpoint.offset(of: place.partition) else {
      preconditionFailure("a state of \(place.partition) without its offset")
    }
    epoch += 1
    do throws(FileError) {
      try log.append(
        message(
          StateKey.state, bytes,
          [
            StateHeader.offset: "\(offset)", StateHeader.epoch: "\(epoch)",
            StateHeader.claim: "\(claimOffset)",
          ]))
    } catch {
      throw .file(error)
    }
    isStoring = true
    return bytes.count
  }

  mutating func settle() throws(StreamError) -> Awaiting? {
    guard isStoring else { return nil }
    if !log.isExclusive { while let message = try next() { try look(at: message) } }
    guard let offset = try stored(), log.isExclusive || seen >= offset else { return log.awaiting }
    isStoring = false
    return nil
  }

  /// Ends the run if another owner has claimed the partition after this one. If that one is older, its claim came late:
  /// the next run claims the partition again. So the newest owner has it in the end.
  ///
  /// A run that failed may not have seen the claim of its successor. So the next run looks for it from the last claim of
  /// its owner on.
  private mutating func look(at message: StateMessage) throws(StreamError) {
    guard message.key == StateKey.claim, let value = message.value else { return }
    let owner = StateOwner(claim: value)
    guard owner?.id != place.owner.id else {
      hasClaimed = true
      return
    }
    let isFinal = owner?.isNewer(than: place.owner) ?? false
    guard hasClaimed, isFinal || seen > claimOffset else { return }
    throw .claimed(
      stream: stream, partition: "\(place.partition)", by: owner?.text ?? "another program",
      isFinal: isFinal)
  }

  mutating func add(_ begun: [SplitCursor]) {}
  mutating func prepare() {}
  mutating func finish() {}

  // MARK: The log

  private func message(
    _ key: String, _ value: [UInt8], _ headers: [String: String] = [:]
  ) -> StateMessage {
    var headers = headers
    headers[StateHeader.owner] = place.owner.id
    return StateMessage(key: key, value: value, headers: headers)
  }

  private func append(_ key: String, _ value: [UInt8]) throws(StreamError) {
    do throws(FileError) {
      try log.append(message(key, value))
    } catch {
      throw .inputOutput(error)
    }
  }

  private func stored() throws(StreamError) -> Int? {
    do throws(FileError) {
      return try log.stored()
    } catch {
      throw .inputOutput(error)
    }
  }

  private mutating func next() throws(StreamError) -> StateMessage? {
    do throws(FileError) {
      let message = try log.next()
      seen = message?.offset ?? seen
      return message
    } catch {
      throw .inputOutput(error)
    }
  }

  private func waitUntilStored() throws(StreamError) -> Int {
    let silence = BrokerSilence(clock)
    while true {
      if let offset = try stored() { return offset }
      try wait(silence)
    }
  }

  private func wait(_ silence: BrokerSilence) throws(StreamError) {
    do throws(FileError) {
      try silence.check(log.name)
    } catch {
      throw .inputOutput(error)
    }
    log.wait()
  }
}
