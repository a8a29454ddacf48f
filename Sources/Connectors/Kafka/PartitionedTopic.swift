internal import Glibc
package import Storage

/// A topic whose partitions are processed each by itself. The state of each is in a partition of another topic.
package struct PartitionedTopic: Sendable {
  /// The most partitions of one process.
  package static let mostPartitions = 128
  /// The descriptors and the threads of the two clients of a state.
  package static let descriptorCount = 26
  package static let threadCount = 12
  /// Those of the client of a process that reads the states of others and the changes by users.
  package static let tailDescriptorCount = 13
  package static let tailThreadCount = 6
  /// New states appear in the part of the log that is compacted after this time at most.
  static let stateProperties = [
    (name: "cleanup.policy", value: "compact"), (name: "segment.ms", value: "600000"),
  ]

  let source: KafkaConnection
  let options: KafkaSourceOptions
  let state: KafkaConnection
  /// Whether to make the state topic if it does not exist.
  let creates: Bool
  /// The transactions of output and state; nil if each message counts by itself.
  var transactions: KafkaTransactions.Settings?

  /// The partitions to read, and problems that do not stop the stream.
  package struct Found: Sendable, Equatable {
    package var partitions: [Int]
    package var warnings: [String] = []
  }

  /// The name of the topic.
  package var topic: String { source.topic }
  /// The number of partitions that the settings name; 1 if they name none.
  package var leastPartitions: Int { max(1, options.partitions.count) }

  /// Joins the group of the settings; nil if they name none.
  package func join(in context: ConnectorContext) throws(FileError) -> KafkaGroup? {
    guard let group = options.group else { return nil }
    return try KafkaGroup(group, source, in: context)
  }

  /// Asks the brokers for the partitions, and checks the state topic. Waits for their answers.
  ///
  /// - Parameter changes: whether it may make the state topic.
  package func find(
    in context: ConnectorContext, changes: Bool = true
  ) throws(FileError) -> Found {
    let count = try client(of: source, in: context).partitionCount()
    let chosen = options.partitions.isEmpty ? Array(0..<count) : options.partitions
    if let absent = chosen.first(where: { $0 >= count }) {
      throw refused(topic, "expected partitions 0 to \(count - 1), found \(absent)")
    }
    guard options.group != nil || chosen.count <= Self.mostPartitions else {
      throw refused(
        topic,
        "expected at most \(Self.mostPartitions) partitions of one process, found \(chosen.count): divide them by "
          + "'partitions' over more processes")
    }
    var found = Found(partitions: chosen)
    let stateClient = try client(of: state, in: context)
    let stateCount: Int
    do throws(FileError) {
      stateCount = try stateClient.partitionCount()
    } catch  where error.isMissing && creates {
      guard changes else { return found }
      try stateClient.makeTopic(partitions: count, Self.stateProperties)
      stateCount = try stateClient.partitionCount(afterMaking: true)
    }
    guard stateCount >= count else {
      throw refused(
        state.topic,
        "expected at least the \(count) partitions of \(topic), found \(stateCount): add partitions to it"
      )
    }
    let policy = stateClient.topicConfiguration()?["cleanup.policy"]
    if let policy, policy != "compact" {
      throw refused(state.topic, "expected cleanup.policy=compact, found \(policy)")
    }
    if policy == nil {
      found.warnings.append(
        "\(state.topic): the brokers do not tell its configuration; it must have cleanup.policy=compact"
      )
    }
    return found
  }

  /// Opens the source of one partition.
  package func source(of partition: Int) -> SourceFactory {
    var only = options
    only.partitions = [partition]
    let (connection, options) = (source, only)
    return { context throws(FileError) in
      try KafkaSource(
        // The last messages of a partition may be none that a consumer gets.
        try KafkaConsumer(connection, tellsEnds: true, in: context.connector),
        topic: connection.topic, options, in: context)
    }
  }

  /// Opens the state of one partition.
  ///
  /// - Parameter member: the member of the group of the source that has the partition; nil without a group.
  package func log(
    of partition: Int, in group: KafkaGroup?, context: ConnectorContext
  ) throws(FileError) -> any StateLog {
    let transactions = try transactions.map { settings throws(FileError) in
      try KafkaTransactions(
        settings, of: TopicPartition(topic: topic, number: partition), group, in: context)
    }
    return try KafkaStateLog(state, partition, of: group, transactions, in: context)
  }

  /// Reads the states of some partitions; of all if `partitions` is nil.
  package func tail(
    of partitions: [Int]?, in context: ConnectorContext
  ) throws(FileError) -> any StateTail {
    try KafkaStateTail(state, of: partitions, in: context)
  }

  /// Stores a message in a partition of the state topic, with a client of its own. Waits for the brokers, for 8 s at most, so
  /// that a user gets an answer.
  ///
  /// - Returns: its offset.
  package func store(
    _ message: StateMessage, in partition: Int, _ context: ConnectorContext
  ) throws(FileError) -> Int {
    try KafkaStateWriter(state, partition, in: context).store(message, within: 8)
  }

  /// Opens a state by its location, `kafka://BROKERS/STATE-TOPIC/PARTITION`, to look at it.
  package static func log(
    at location: String, in context: ConnectorContext
  ) throws(FileError) -> any StateLog {
    let found = try KafkaLocation(location)
    guard let partition = found.options.partitions.first, found.options.end == nil else {
      throw FileError(
        operation: .open, path: location,
        reason: "expected kafka://HOST:PORT/STATE-TOPIC/PARTITION", errno: EINVAL)
    }
    return try KafkaStateLog(found.connection, partition, in: context)
  }

  /// Whether a path is a location of a topic.
  package static func isLocation(_ path: String) -> Bool { path.hasPrefix(KafkaLocation.scheme) }

  private func client(
    of connection: KafkaConnection, in context: ConnectorContext
  ) throws(FileError) -> KafkaClient {
    try KafkaClient(.consumer, connection, KafkaStateLog.ofConsumer, in: context)
  }

  private func refused(_ topic: String, _ reason: String) -> FileError {
    FileError(operation: .open, path: topic, reason: reason, errno: EINVAL)
  }
}
