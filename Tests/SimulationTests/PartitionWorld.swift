import Dataflow
import Records
import Storage
import Synthetic
import TestSupport

@testable import Connectors

/// A partition of three topics in memory: the input, the output and the state.
///
/// With transactions, `output` and `state` are what a reader sees that reads committed messages alone. There is one open
/// transaction at most: that of the newest producer.
/// Clients reach it by a `PartitionClient` each.
final class PartitionWorld: @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  private(set) var input: [[UInt8]] = []
  private(set) var output: [[UInt8]] = []
  /// In the order of their offsets, which have holes where messages were compacted.
  private(set) var state: [StateMessage] = []
  /// The state with the highest offset that there ever was. Compaction may remove it, if an older one came late.
  private(set) var newest: StateMessage?
  private var nextState = 0
  /// Messages of clients that are gone and may still arrive.
  private var late: [PartitionClient.Sent] = []
  /// The number of the newest producer with transactions.
  private var producer = 0
  /// The messages of the open transaction.
  private var open: (output: [[UInt8]], state: [StateMessage]) = ([], [])
  /// The transactions that were aborted with messages in them.
  private(set) var abortedCount = 0
  /// The last changes by users, by their subjects.
  private(set) var control: [String: ControlChange] = [:]
  private var nextChange = 0
  /// Whether messages may come late, and whether old ones are removed.
  var delays = true
  var compacts = true
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Lets a user change the stream.
  func change(_ subject: String, _ change: String, mode: String? = nil) {
    control[subject] = ControlChange(change, mode: mode, offset: nextChange)
    nextChange += 1
  }

  func produce(_ messages: [[UInt8]]) { input += messages }

  /// Stores a message. One of a transaction is seen when this is committed, and dropped if a newer producer has begun.
  ///
  /// - Returns: the offset of a state.
  @discardableResult
  func store(_ sent: PartitionClient.Sent) -> Int {
    let isOfTransaction = sent.producer != nil
    guard !isOfTransaction || sent.producer == producer else { return nextState }
    switch sent.content {
    case .output(let message):
      if isOfTransaction { open.output.append(message) } else { output.append(message) }
    case .state(var message):
      message.offset = nextState
      nextState += 1
      if isOfTransaction {
        open.state.append(message)
      } else {
        state.append(message)
        note(message)
      }
    }
    return nextState - 1
  }

  // MARK: Transactions

  /// The messages of the output, with those of the open transaction.
  var writtenCount: Int { output.count + open.output.count }

  /// Begins a producer. It ends the transaction of the one before it.
  ///
  /// - Returns: its number.
  func beginProducer() -> Int {
    abort()
    producer += 1
    return producer
  }

  private func abort() {
    if !open.output.isEmpty || !open.state.isEmpty {
      abortedCount += 1
      // The mark of the end has an offset too.
      nextState += 1
    }
    open = ([], [])
  }

  /// Makes the messages of a transaction visible.
  ///
  /// - Returns: false if a newer producer has begun.
  func commit(_ number: Int) -> Bool {
    guard number == producer else { return false }
    output += open.output
    state += open.state
    for message in open.state { note(message) }
    nextState += 1
    open = ([], [])
    return true
  }

  /// Takes what a client that was killed had on its way: the broker gets a beginning of it, now or later.
  func inherit(_ sent: [PartitionClient.Sent]) {
    let arriving = sent.prefix(Int.random(in: 0...sent.count, using: &random))
    if random.once(in: 3), delays { late += arriving } else { for each in arriving { store(each) } }
  }

  /// Lets something happen that no client asks for.
  func act() {
    if !late.isEmpty, random.once(in: 40) { store(late.removeFirst()) }
    if random.once(in: 200), compacts { compact() }
    // A transaction that is open for too long.
    if producer > 0, random.once(in: 2000) { _ = beginProducer() }
  }

  func settle() {
    for each in late { store(each) }
    late = []
  }

  /// Keeps the last message of each key, and all of an end of the log.
  private func compact() {
    let tail = Int.random(in: 0...state.count, using: &random)
    var kept: Set<String> = []
    let old = state.prefix(tail).reversed().filter { kept.insert($0.key).inserted }
    state = Array(old.reversed()) + state.dropFirst(tail)
  }

  private func note(_ message: StateMessage) {
    func offset(_ message: StateMessage) -> Int { Int(message.headers["ek-offset"] ?? "") ?? -1 }
    guard message.key == "state", offset(message) > newest.map(offset) ?? -1 else { return }
    newest = message
  }
}

/// How messages are written, rightly or by a mistake that must be found.
enum SimulatedDelivery {
  case atLeastOnce
  case exactlyOnce
  /// The output is in no transaction.
  case outputOutside
  /// The partition is claimed before the earlier producer is replaced.
  case replacedLate

  /// Whether a message is in no transaction.
  func isAlone(_ content: PartitionClient.Content) -> Bool {
    switch (self, content) {
    case (.atLeastOnce, _), (.outputOutside, .output): true
    case (.replacedLate, .state(let message)): message.key == "claim"
    default: false
    }
  }
}

/// A process at the brokers: a source, a sink and a state of one partition.
final class PartitionClient: @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  enum Content {
    case output([UInt8])
    case state(StateMessage)
  }

  struct Sent {
    let content: Content
    /// The producer of the transaction; nil for a message of its own.
    var producer: Int?

    var isState: Bool { if case .state = content { true } else { false } }
  }

  let world: PartitionWorld
  /// Messages on their way, in their order.
  private(set) var unstored: [Sent] = []
  /// The offset of the last state that was appended; nil until it is stored.
  private(set) var storedState: Int?
  private var nextInput = 0
  fileprivate var nextState = 0
  private var current: UnsafeMutableRawBufferPointer?
  /// Its number, with transactions, once it has begun.
  private(set) var producer: Int?
  /// Whether the next call asks for the commit, and whether the last state is committed.
  private var (commits, isCounted) = (false, false)
  let delivery: SimulatedDelivery
  /// The number of calls after which it fails, as if it were killed within one.
  var callsLeft: Int
  /// Whether its states do not have the changes by users.
  var forgetsChanges = false

  init(_ world: PartitionWorld, _ delivery: SimulatedDelivery, callsLeft: Int) {
    (self.world, self.delivery, self.callsLeft) = (world, delivery, callsLeft)
  }

  deinit { current?.deallocate() }

  func send(_ content: Content) {
    var sent = Sent(content: content)
    let isAlone = delivery.isAlone(content)
    if !isAlone, producer == nil { producer = world.beginProducer() }
    if !isAlone { sent.producer = producer }
    // One that is in no transaction counts when it is stored.
    if sent.isState { (storedState, commits, isCounted) = (nil, false, isAlone) }
    unstored.append(sent)
  }

  /// Stores some of the messages that are on their way.
  func deliver(atMost most: Int) {
    // Without transactions the states have a connection of their own.
    if delivery == .atLeastOnce, world.random.once(in: 4),
      let index = unstored.firstIndex(where: \.isState)
    {
      storedState = world.store(unstored.remove(at: index))
    }
    for _ in 0..<min(most, unstored.count) {
      let message = unstored.removeFirst()
      let offset = world.store(message)
      if message.isState { storedState = offset }
    }
  }

  /// The offset of the last state; nil until it counts. With transactions the call after the one that finds it stored
  /// commits, as it does on a thread that may wait.
  func countedState() throws(FileError) -> Int? {
    try call()
    guard let offset = storedState else { return nil }
    guard let producer, !isCounted else { return offset }
    guard commits else {
      commits = true
      return nil
    }
    // Some answers do not come, whether the brokers did it or not.
    let answers = !world.random.once(in: 4)
    if answers || world.random.once(in: 2), !world.commit(producer) { throw Self.fenced }
    try call()
    isCounted = answers
    return answers ? offset : nil
  }

  static let fenced = FileError(operation: .write, path: "client", reason: "fenced")

  /// Fails when its time has come.
  func call() throws(FileError) {
    callsLeft -= 1
    guard callsLeft > 0 else {
      throw FileError(operation: .read, path: "client", reason: "killed")
    }
  }

  func die() {
    world.inherit(unstored)
    unstored = []
  }
}

// MARK: Input

extension PartitionClient: MessageLog {
  var awaiting: Awaiting { Awaiting(nil, seconds: 0) }

  func start(_ partition: Int, at offset: Int) throws(FileError) { nextInput = offset }
  func stop(_ partition: Int) {}

  func first() throws(FileError) -> LogMessage? {
    guard nextInput < world.input.count else { return nil }
    let message = world.input[nextInput]
    if current == nil {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: message.count, alignment: 1)
      memory.copyBytes(from: message)
      current = memory
    }
    return LogMessage(
      partition: 0, offset: nextInput, bytes: current.map { UnsafeRawBufferPointer($0) })
  }

  func origin() -> MessageOrigin {
    MessageOrigin(partition: 0, offset: nextInput, milliseconds: 0, attributes: [])
  }

  func take() {
    current?.deallocate()
    current = nil
    nextInput += 1
  }

  func watermarks(of partition: Int) throws(FileError) -> (low: Int, high: Int) {
    (0, world.input.count)
  }
  func knownHigh(of partition: Int) -> Int? { world.input.count }
  func offset(of partition: Int, atMilliseconds time: Int) throws(FileError) -> Int? { nil }
  func seenEnd(of partition: Int) -> Int? { nil }
  func partitionCount() throws(FileError) -> Int { 1 }
}

// MARK: State

/// The state, as a client has it.
struct ClientState: StateLog {
  let client: PartitionClient
  var name: String { "state/0" }
  var awaiting: Awaiting { Awaiting(nil, seconds: 0) }

  func append(_ message: StateMessage) throws(FileError) {
    try client.call()
    client.send(.state(client.forgetsChanges ? message.forgettingChanges : message))
  }

  func stored() throws(FileError) -> Int? { try client.countedState() }

  func next() throws(FileError) -> StateMessage? {
    try client.call()
    return client.nextStateMessage()
  }

  func wait() { client.deliver(atMost: 1) }
  var isExclusive: Bool { client.delivery != .atLeastOnce }
  var position: Int { client.nextState }
  func end() throws(FileError) -> Int { (client.world.state.last?.offset ?? -1) + 1 }
}

extension PartitionClient {
  /// The next message of the state that the client has fetched.
  fileprivate func nextStateMessage() -> StateMessage? {
    guard !world.random.once(in: 4),
      let message = world.state.first(where: { $0.offset ?? 0 >= nextState })
    else { return nil }
    nextState = (message.offset ?? 0) + 1
    return message
  }
}

// MARK: Output

/// The output, as a client writes it: each line is a message.
struct ClientSink: ByteSink {
  let client: PartitionClient
  /// Whether a state waits for the messages before it.
  var isAwaited = true
  let name = "output"

  func begin(_ prologue: [UInt8], endingWith epilogue: (any Epilogue)?) throws(FileError) {}

  func write(_ bytes: [UInt8]) throws(FileError) {
    for line in bytes.split(separator: 0x0A) { client.send(.output(Array(line))) }
  }

  func push() throws(FileError) -> Awaiting? {
    try client.call()
    return nil
  }

  func settle() throws(FileError) -> Awaiting? {
    try client.call()
    return client.unstored.isEmpty || !isAwaited ? nil : Awaiting(nil, seconds: 0)
  }

  func finish() throws(FileError) {}
}
