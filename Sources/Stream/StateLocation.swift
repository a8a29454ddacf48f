internal import Connectors
internal import Dataflow
package import Storage

/// The place of a checkpoint that is only read.
package enum StateLocation {
  /// The longest time without a message after which a log is taken to have ended, in seconds.
  private static let mostSilence = 5.0

  /// Reads a checkpoint file, or the newest state of a partition at `kafka://BROKERS/STATE-TOPIC/PARTITION`.
  ///
  /// - Throws: `StorageError` or `StreamError`.
  package static func read(
    _ location: String, _ reading: StateReading, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws -> Checkpoint {
    guard PartitionedTopic.isLocation(location) else {
      return try CheckpointFile.read(location, reading, in: fileSystem)
    }
    do {
      let context = ConnectorContext(fileSystem: fileSystem)
      return try newest(in: PartitionedTopic.log(at: location, in: context), reading, context.clock)
    } catch let error as FileError {
      throw error.isMissing ? StreamError.inputMissing(error) : StreamError.inputOutput(error)
    }
  }

  static func newest(
    in log: any StateLog, _ reading: StateReading, _ clock: Clock
  ) throws -> Checkpoint {
    var candidates = StateCandidates()
    let end = try log.end()
    var silence = BrokerSilence(clock, mostSeconds: mostSilence)
    while log.position < end, !silence.isTooLong {
      if let message = try log.next() {
        candidates.take(message)
        silence.takeNews()
      } else {
        log.wait()
      }
    }
    guard let newest = try candidates.newest(of: nil, in: log.name, reading) else {
      throw StreamError.badFile(
        .content(
          path: log.name, .unexpected(part: "log", expected: "a state", found: "none")))
    }
    return newest.found.checkpoint
  }
}
