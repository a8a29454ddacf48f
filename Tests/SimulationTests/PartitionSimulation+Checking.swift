import Records
import Storage
import Synthetic
import TestSupport

@testable import Connectors
@testable import Stream

/// Compares the output and the state with those of a process that is never disturbed.
extension PartitionSimulation {
  static func identity(_ message: [UInt8]) -> Int? {
    let text = String(decoding: message, as: UTF8.self)
    guard let start = text.firstRange(of: #""id":"#)?.upperBound else { return nil }
    return Int(text[start...].prefix { $0.isNumber })
  }

  /// The messages and the state of one process that is never disturbed.
  private func undisturbed() throws -> (output: [[UInt8]], state: Checkpoint) {
    let world = PartitionWorld(seed: 1)
    world.produce(records)
    var calm = PartitionSimulation(
      faults: faults, world: world, configuration: configuration, schedule: schedule,
      records: records, gradients: gradients, random: random)
    var member = try calm.open(1, callsLeft: .max)
    while try member.step(&calm.random, stops: world.output.count == records.count) {}
    return (world.output, try Self.checkpoint(world))
  }

  private init(
    faults: Faults, world: PartitionWorld, configuration: StreamConfiguration,
    schedule: CheckpointSchedule, records: [[UInt8]], gradients: SimulatedFileSystem?,
    random: SplitMix64
  ) {
    (self.faults, self.world, self.configuration) = (faults, world, configuration)
    (self.schedule, self.records, self.random) = (schedule, records, random)
    self.gradients = gradients
    produced = records.count
    (delivery, canary) = (.atLeastOnce, nil)
  }

  private static func text(_ checkpoint: Checkpoint) throws -> String {
    let json = try BuiltInExports.named("json")?.bytes(of: checkpoint) ?? []
    return String(decoding: json, as: UTF8.self) + "\(checkpoint.input as Any)"
  }

  private static func checkpoint(_ world: PartitionWorld) throws -> Checkpoint {
    guard let value = world.newest?.value else { throw Failure("there is no state") }
    return try Checkpoint(serialized: value, .ofOperators)
  }

  /// No record is lost, copies have equal bytes, and the moments have every record once. With transactions there is no
  /// copy.
  mutating func check() throws {
    var first: [Int: [UInt8]] = [:]
    var highest = -1
    for message in world.output {
      guard let id = Self.identity(message) else { throw Failure("a message without an id") }
      if let earlier = first[id] {
        doubles += 1
        guard delivery == .atLeastOnce else { throw Failure("record \(id) is there twice") }
        // A stop cuts a batch early, also one that an earlier process had cut later.
        guard earlier == message || faults == .killsAndStops else {
          throw Failure("record \(id): two copies differ")
        }
      }
      first[id] = message
      // A reader that drops everything up to the highest one has each record once, in order.
      guard id <= highest + 1 else { throw Failure("record \(id) came before \(highest + 1)") }
      highest = max(highest, id)
    }
    guard highest == records.count - 1 else { throw Failure("records after \(highest) are lost") }
    if faults == .killsAndChanges { changes = try Self.checkpoint(world).control.count }
    guard faults == .killsAndPauses else { return }
    let calm = try undisturbed()
    for (id, message) in calm.output.enumerated() where first[id] != message {
      throw Failure("record \(id): another message than without faults")
    }
    let found = try Self.checkpoint(world)
    guard found.state == calm.state.state, found.input?.splits == calm.state.input?.splits else {
      throw Failure(
        "the state is \(try Self.text(found)), without faults \(try Self.text(calm.state))")
    }
  }
}
