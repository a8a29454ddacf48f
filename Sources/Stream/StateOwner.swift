package import Connectors
package import Dataflow
internal import FoundationEssentials
internal import Records

/// The process, and the stream of it, that has the state of a partition.
package struct StateOwner: Sendable, Equatable, Codable {
  /// Differs between any two owners.
  package var id: String
  package var host: String
  package var pid: Int
  /// When it began, in seconds since 1970.
  package var since: Double

  package init(id: String, host: String, pid: Int, since: Double = 0) {
    self.id = id
    self.host = host
    self.pid = pid
    self.since = since
  }

  /// A new owner in this process.
  package static func make(_ clock: Clock) -> StateOwner {
    let (host, pid) = processIdentity()
    let digits = (0..<2).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 16) }
    return StateOwner(
      id: digits.joined(separator: "-"), host: host, pid: pid, since: clock.wallSeconds())
  }

  /// The owner that a claim names; nil for other bytes.
  init?(claim: [UInt8]) {
    guard claim.count <= 4096,
      let owner = try? JSONDecoder().decode(StateOwner.self, from: Data(claim))
    else { return nil }
    self = owner
  }

  /// The value of a claim.
  var claim: [UInt8] {
    // Texts and finite numbers can always be encoded.
    (try? JSONEncoder().encode(self)).map { Array($0) } ?? []
  }

  /// Whether it began after another owner. The newest of several owners keeps the partition.
  func isNewer(than other: StateOwner) -> Bool { (since, id) > (other.since, other.id) }

  /// The owner in messages. Another program may have written its name.
  package var text: String { "process \(pid) on host \(printable(String(host.prefix(64))))" }
}

/// A partition that is processed by itself.
package struct StreamPart: Sendable {
  package var partition: Int
  /// The owner of its state.
  package var owner: StateOwner
  /// The states of the partitions and the changes by users; nil if nothing comes from others.
  package var peers: PeerStates?
  /// The events of all partitions of the stream.
  package var events: EventLog
  /// The member of the group that has the partition; nil without a group.
  package var member: KafkaGroup?

  package init(
    _ partition: Int, _ owner: StateOwner, peers: PeerStates?, events: EventLog = EventLog(),
    member: KafkaGroup? = nil
  ) {
    (self.partition, self.owner, self.member) = (partition, owner, member)
    (self.peers, self.events) = (peers, events)
  }
}
