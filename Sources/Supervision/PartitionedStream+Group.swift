internal import Connectors
internal import Dataflow
internal import Logging
internal import Storage
internal import Stream

/// The partitions that a group gives and takes. All of it runs on the queue of the stream.
extension PartitionedStream {
  /// How often it looks at the group. The brokers expect a look in `max.poll.interval.ms`, five minutes.
  private static let lookSeconds = 0.1
  /// The longest time in which a partition is drained that the group takes.
  private static let drainSeconds = 10.0

  /// Follows the changes of the group.
  func lookAtGroup() {
    guard let member, !isStopping else { return }
    do throws(FileError) {
      while let change = try member.next() { take(change) }
    } catch {
      lose(parts.map(\.partition))
      self.member = nil
      show { $0.isMember = false }
      return failed(.inputOutput(error))
    }
    StageThreads.shared.run(on: queue, afterSeconds: Self.lookSeconds) { [weak self] in
      self?.lookAtGroup()
    }
  }

  private func take(_ change: GroupEvent) {
    show { $0.rebalances += 1 }
    switch change {
    case .assigned(let partitions):
      logger.notice("the group gave partitions", metadata: ["partitions": "\(partitions)"])
      start(partitions)
    case .revoked(let partitions):
      logger.notice("the group takes partitions", metadata: ["partitions": "\(partitions)"])
      let leaving = parts.filter { partitions.contains($0.partition) }
      let released: @Sendable () -> Void = {
        self.queue.async {
          self.remove(leaving)
          self.member?.release()
        }
      }
      forEach(leaving, { $0.stop($1) }, released)
      StageThreads.shared.run(on: queue, afterSeconds: Self.drainSeconds) {
        for part in leaving { part.stream.abandon() }
      }
    case .lost(let partitions):
      logger.warning("the group has lost partitions", metadata: ["partitions": "\(partitions)"])
      lose(partitions)
    }
  }

  /// Ends runs at once: other members may have their partitions.
  private func lose(_ partitions: [Int]) {
    let lost = parts.filter { partitions.contains($0.partition) }
    for part in lost {
      part.stream.stop {}
      part.stream.abandon()
    }
    remove(lost)
  }

  private func remove(_ old: [Part]) {
    show { shown in
      shown.parts.removeAll { part in old.contains { $0.stream === part.stream } }
    }
  }
}
