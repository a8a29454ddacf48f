internal import Dataflow
internal import Logging
internal import Operators
internal import Storage
internal import Stream

/// A stream of the daemon, as the supervisor sees it: one run, or one for each partition of its topic.
protocol Supervised: AnyObject, Sendable {
  var definition: StreamDefinition { get }
  var taps: StreamTaps { get }
  var status: StreamStatus { get }
  /// Whether output waits for a reader, and there is none.
  var hasNoReader: Bool { get }
  /// The metrics of its features; empty before the first record.
  var features: [FeatureStatus] { get }
  /// The verdicts of its drift charts.
  var drift: [DriftAlarm] { get }
  /// The states of its runs, one for each partition.
  var snapshots: [StreamSnapshot] { get }
  /// The last events with a higher number, oldest first.
  func events(after number: Int) -> [LoggedEvent]
  /// Opens source and sink. Calls `completion` when they are open, or when that has failed.
  func start(_ completion: @escaping @Sendable () -> Void)
  /// Drains the stream. Calls `completion` when it has ended.
  func stop(_ completion: @escaping @Sendable () -> Void)
  /// Ends a stream that takes too long to drain. Its records in flight are lost.
  func abandon()
  /// Ends a stream that has no reader, so that a drain does not wait for one.
  func endWithoutReader()
  func request(_ command: StreamCommand, reply: @escaping CommandReply)
}

/// The things with which the streams of a daemon are made.
struct SupervisionContext: Sendable {
  var stateDirectory: String
  var fileSystem: any FileSystem
  var clock: Clock
  var webhook: Webhook?
  var logger: Logger

  /// - Parameter adopts: whether the stream takes the fitting part of a checkpoint with other features or settings, as
  ///   after a reload.
  func makeStream(_ definition: StreamDefinition, adopts: Bool) -> any Supervised {
    if let topic = definition.partitions {
      return PartitionedStream(definition, topic, takesOtherCheckpoints: adopts, self)
    }
    return SupervisedStream(definition, takesOtherCheckpoints: adopts, self)
  }
}
