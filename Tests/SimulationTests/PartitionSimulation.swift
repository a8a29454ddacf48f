import BatchNormalization
import Codecs
import Configuration
import Dataflow
import Records
import Storage
import Synthetic
import TestSupport

@testable import Connectors
@testable import Stream

/// A partition whose state is in a topic, and processes that are killed, paused and replaced at any moment.
struct PartitionSimulation {
  /// The faults that a process can have.
  enum Faults: CaseIterable {
    /// It is killed, or hangs while another one takes its partition.
    case killsAndPauses
    /// It is killed, or stopped, which cuts a batch early.
    case killsAndStops
    /// It is killed, and users change the stream.
    case killsAndChanges
  }

  /// The faults before a process that is left alone.
  private static let mostFaults = 12

  let faults: Faults
  let delivery: SimulatedDelivery
  let canary: PartitionCanary?
  let world: PartitionWorld
  let configuration: StreamConfiguration
  let schedule: CheckpointSchedule
  let records: [[UInt8]]
  /// The disk with gradients of γ and β, which every process reads; nil if they are not learned.
  let gradients: SimulatedFileSystem?
  private let clock = ManualClock()
  var random: SplitMix64
  var produced = 0
  /// The messages of the output that were looked at, and the records in them.
  private var found: (messages: Int, records: Set<Int>) = (0, [])
  private var owners = 0
  private(set) var kills = 0
  private(set) var pauses = 0
  var doubles = 0
  /// The changes by users that the last state has.
  var changes = 0
  /// The processes that found out that they were replaced.
  private(set) var ends = 0

  /// - Parameter canary: the fix that is taken out.
  init(
    seed: UInt64, _ faults: Faults, _ delivery: SimulatedDelivery = .atLeastOnce,
    without canary: PartitionCanary? = nil
  ) {
    (self.delivery, self.canary) = (delivery, canary)
    random = SplitMix64(seed: seed)
    self.faults = faults
    world = PartitionWorld(seed: random.next())
    if faults == .killsAndChanges {
      // Brokers remove an old state long after a process was killed, and not while its last messages arrive.
      world.delays = random.once(in: 2)
      world.compacts = !world.delays
    }
    var configuration = StreamConfiguration(name: "s", format: .ndjson)
    configuration.decoder.features = ["x", "y"].map { FeaturePattern($0) }
    configuration.batch.size = Int.random(in: 2...8, using: &random)
    configuration.batch.maxDelaySeconds = 1e9
    configuration.isLive = true
    configuration.cutsByTime = true
    configuration.badRecords = .skip
    if random.once(in: 2) { configuration.normalization.momentum = .cumulative }
    gradients = PartitionGradients.draw(seed: seed, &configuration)
    self.configuration = configuration
    schedule = CheckpointSchedule(
      intervalSeconds: 0.5, everyRecords: Int.random(in: 1...40, using: &random),
      atTimedCuts: true)
    // No batch is open at the end.
    let count = configuration.batch.size * Int.random(in: 30...60, using: &random)
    records = (0..<count).map { number in
      Array(#"{"id":\#(number),"x":\#(number * 7919 % 1009),"y":\#(number % 13 * 3)}"#.utf8)
    }
  }

  // MARK: Processes

  /// A process: its client, and its stages.
  struct Member {
    let owner: Int
    let client: PartitionClient
    let inbox: RequestInbox
    var flow: SerialFlow<IngestStage, OperateStage, EncodeWorker, EmitStage>

    /// - Returns: false if it has ended.
    mutating func step(_ random: inout SplitMix64, stops: Bool) throws -> Bool {
      client.deliver(atMost: random.once(in: 2) ? Int.random(in: 0...3, using: &random) : 0)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: try flow.stepSource(stops ? .end : .resume)
      case 1: try flow.stepMiddle()
      case 2: try flow.stepWorker(using: &random)
      default: try flow.stepSink()
      }
      return !flow.hasEnded
    }
  }

  private func plan(_ client: PartitionClient, _ owner: Int) -> StreamPlan {
    var plan = StreamPlan(configuration, StreamFiles(input: "-", output: "-"))
    plan.configuration = configuration
    plan.schedule = schedule
    plan.source = { context throws(FileError) in
      try KafkaSource(client, topic: "in", KafkaSourceOptions(partitions: [0]), in: context)
    }
    let isAwaited = canary != .outputIsNotAwaited
    plan.sink = { _ throws(FileError) in ClientSink(client: client, isAwaited: isAwaited) }
    plan.state = .topic(
      TopicState(
        partition: TopicPartition(topic: "in", number: 0),
        owner: StateOwner(id: "owner \(owner)", host: "h", pid: owner, since: Double(owner)),
        directory: "/state", peers: faults == .killsAndChanges ? world.peers : nil
      ) { _ throws(FileError) in ClientState(client: client) })
    if gradients != nil { plan.gradients = GradientInput(path: PartitionGradients.path) }
    return plan
  }

  mutating func open(_ owner: Int, callsLeft: Int) throws -> Member {
    let client = PartitionClient(world, delivery, callsLeft: callsLeft)
    client.forgetsChanges = canary == .changesAreForgotten
    do {
      let machine = SimulatedFileSystem(seed: random.next())
      let context = ConnectorContext(fileSystem: gradients ?? machine, clock: clock.clock)
      let opened = try OpenedStream(plan(client, owner), in: context)
      let metrics = StreamMetrics(clock: clock.clock)
      let inbox = RequestInbox()
      var ingest = try IngestStage(
        IngestContext(
          opened.configuration, cursor: opened.state.cursor,
          gradientCursor: opened.state.checkpoint?.gradients, schedule: opened.schedule,
          metrics: metrics, inbox: inbox, clock: clock.clock),
        source: opened.source, gradients: opened.gradients)
      if canary == .changesComeAmongCopies {
        ingest.checkpoints = CheckpointPolicy(opened.schedule, clock: clock.clock)
      }
      return Member(
        owner: owner, client: client, inbox: inbox,
        flow: SerialFlow(
          ingest,
          OperateStage(
            opened.configuration, from: opened.state, unitBytes: 64,
            leastDeltaBytes: opened.output.leastDeltaBytes, clock: clock.clock),
          try EncodeWorker(level: nil),
          EmitStage(streamName: "s", opened.output, metrics: metrics)))
    } catch {
      client.die()
      throw error
    }
  }

  // MARK: Running

  mutating func run() throws {
    var paused: [Member] = []
    while true {
      let isLast = kills + pauses >= Self.mostFaults
      owners += 1
      let owner = owners
      var calls = isLast ? Int.max : Int.random(in: 1...400, using: &random)
      // A claim that came late has its owner claim again.
      attempts: while true {
        do {
          var member = try open(owner, callsLeft: calls)
          calls = .max
          switch try live(&member, isLast: isLast, &paused) {
          case .ended:
            for each in paused { each.client.die() }
            world.settle()
            return try check()
          case .stopped: break attempts
          case .killed:
            kills += 1
            member.client.die()
            break attempts
          case .paused:
            pauses += 1
            member.client.callsLeft = .max
            paused.append(member)
            break attempts
          }
        } catch StreamError.claimed(_, _, _, false) {
          continue attempts
        } catch StreamError.inputOutput(let error) where error == PartitionClient.fenced {
          continue attempts
        } catch StreamError.inputOutput(let error) where error.reason == "killed" {
          kills += 1
          break attempts
        }
      }
    }
  }

  private enum Fate {
    case ended
    case stopped
    case killed
    case paused
  }

  /// Lets a process run until its fate, beside those that hung and go on.
  private mutating func live(
    _ member: inout Member, isLast: Bool, _ paused: inout [Member]
  ) throws -> Fate {
    var stepsLeft = isLast ? 30_000 : Int.random(in: 1...700, using: &random)
    while stepsLeft > 0 {
      stepsLeft -= 1
      world.act()
      // Each process has something to read.
      let quota =
        isLast ? records.count : records.count * (kills + pauses + 1) / (Self.mostFaults + 1)
      if produced < quota, random.once(in: 8) {
        let next = min(quota, produced + Int.random(in: 1...5, using: &random))
        world.produce(Array(records[produced..<next]))
        produced = next
      }
      if random.once(in: 50) { clock.advance(by: 0.6) }
      if faults == .killsAndChanges {
        if random.once(in: 30) { world.change(using: &random) }
        // The daemon asks for a state after a change.
        if random.once(in: 30) { member.inbox.put(StreamRequest(.checkpoint, of: "s") { _ in }) }
      }
      try goOn(&paused)
      let isDone = isLast && isComplete()
      guard try member.step(&random, stops: isDone) else { return .ended }
    }
    guard !isLast else { throw Failure("the stream never ends") }
    switch faults {
    case .killsAndChanges: return .killed
    case .killsAndPauses: return random.once(in: 3) ? .paused : .killed
    case .killsAndStops:
      guard random.once(in: 3) else { return .killed }
      while try member.step(&random, stops: true) {}
      kills += 1
      return .stopped
    }
  }

  /// Whether every record is in the output.
  private mutating func isComplete() -> Bool {
    if delivery != .atLeastOnce {
      return produced == records.count && world.writtenCount >= records.count
    }
    // Each message is looked at once: a process that is left alone asks before every step.
    let output = world.output
    found.records.formUnion(output[found.messages...].compactMap(Self.identity))
    found.messages = output.count
    return produced == records.count && found.records.count == records.count
  }

  /// Lets processes that hung take a step. Each must find out that another one has its partition.
  private mutating func goOn(_ paused: inout [Member]) throws {
    for index in paused.indices.reversed() where random.once(in: 3) {
      do {
        do {
          guard try paused[index].step(&random, stops: false) else {
            throw Failure("a process that was replaced ended by itself")
          }
        } catch StreamError.inputOutput(let error) where error == PartitionClient.fenced {
          // It starts again, and finds the claim of the newer one.
          paused[index] = try open(paused[index].owner, callsLeft: .max)
        }
      } catch StreamError.claimed(_, _, _, let isFinal) {
        if isFinal { ends += 1 }
        paused[index].client.die()
        paused.remove(at: index)
      }
    }
  }
}
