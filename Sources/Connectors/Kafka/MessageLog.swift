internal import Dataflow
internal import Records
internal import Storage

/// A message of a partition, in the memory of its log.
struct LogMessage {
  let partition: Int
  let offset: Int
  /// Its value; nil if it has none, as a tombstone.
  let bytes: UnsafeRawBufferPointer?
}

/// The messages of some partitions, each in the order of its offsets. Tests and the simulator have one in memory.
protocol MessageLog: Sendable {
  /// Begins to read a partition.
  func start(_ partition: Int, at offset: Int) throws(FileError)
  /// Returns no more messages of a partition.
  func stop(_ partition: Int)
  /// The oldest message that was not taken; nil if there is none now. Its bytes are valid until it is taken.
  func first() throws(FileError) -> LogMessage?
  /// The message that `first` returned, with its timestamp, key and headers.
  func origin() -> MessageOrigin
  /// Takes the message that `first` returned.
  func take()
  /// The event to wait for if there is no message.
  var awaiting: Awaiting { get }
  /// The offset of the first message of a partition, and the one after its last message.
  func watermarks(of partition: Int) throws(FileError) -> (low: Int, high: Int)
  /// The watermark after the last message that is known without asking; nil before the first message.
  func knownHigh(of partition: Int) -> Int?
  /// The offset of the first message that is not older than a time; nil if there is none.
  func offset(of partition: Int, atMilliseconds time: Int) throws(FileError) -> Int?
  /// The offset up to which a partition was seen to have no more messages; nil if nobody told.
  func seenEnd(of partition: Int) -> Int?
  /// The number of partitions.
  func partitionCount() throws(FileError) -> Int
}
