package import Configuration
package import Dataflow
package import Records
package import Storage

/// The source of a stream's records: splits of bytes. Each split is compressed, and cut into records, by itself.
///
/// A split is a file, a connection, or a writer of a FIFO. A source is opened at the cursors of an earlier one
/// (`SourceContext.cursor`), and continues there. Then, for each split:
///
/// 1. `read` returns its bytes; `start(of:)` tells how to read the first of them.
/// 2. `read` returns its end, or the stream gives it up (`abandon`).
/// 3. The stream has cut the batch of its last record (`finish`): the split is done.
///
/// A new source is one file and one line in `BuiltInSources.all`.
package protocol Source: Sendable {
  /// The name of the source in messages.
  var name: String { get }
  /// The size in bytes, if the source has an end; nil for a live source.
  var size: Int? { get }
  /// The file or directory on the disk that any read may wait for; nil if reads wait for no disk, or almost never.
  var pathOnDisk: String? { get }
  /// Whether a split may normally end in the middle of a record, such as when a producer dies. Then only that record
  /// is lost.
  var endsAnywhere: Bool { get }
  /// The part of the input after the cursors that cannot be read again, in words; nil if there is none. If there is a
  /// gap, the source begins with the bytes that it has.
  var gap: String? { get }
  /// Whether the gap exists because the input was changed in place, which can be undone.
  var isChangedInPlace: Bool { get }
  /// Whether files that it reads may be gone before a checkpoint names them. Then the beginning of each split is
  /// recorded, and is among the cursors of a later source.
  var filesMayGo: Bool { get }
  /// The splits of the cursors that the source resumes, in their order.
  var openSplits: [SplitID] { get }
  /// Reads the available bytes, without waiting.
  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent
  /// The start of a split whose first bytes were just read.
  func start(of split: SplitID) -> SplitStart
  /// The file of a split that is being read, if other places in it can be read too; nil otherwise.
  func file(of split: SplitID) -> (any File)?
  /// Identifies the split and an offset in its bytes for a later source; nil if a later source cannot resume there.
  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes?
  /// Tells a later source which splits are done; nil if this source cannot be read again. Whether it is nil does not
  /// change during a run.
  var done: OpaqueBytes? { get }
  /// Returns the splits that were done, and those that may be forgotten, since the last call. For a source with so
  /// many splits that a list of them is kept beside the checkpoints.
  mutating func takeDoneChanges() -> DoneChanges
  /// Records that no later mark lies before an offset in the bytes of a split.
  mutating func settled(_ split: SplitID, at offset: Int)
  /// The place of a byte in the words of the source, for messages about a record; nil if the name of the split and the
  /// offset say it all.
  func place(of split: SplitID, at offset: Int) -> String?
  /// The messages of a split from the one with a byte on, at most so many; nil if there are none, or if the stream
  /// does not keep them (`ConnectorContext.keepsMessages`).
  func messages(of split: SplitID, at offset: Int, atMost count: Int) -> MessageRun?
  /// The number of partitions that the messages may name; nil if the source has none.
  var partitionCount: Int? { get }
  /// Whether it has given everything that was there when it was opened. An earlier run cannot have written what it gives
  /// then.
  var hasCaughtUp: Bool { get }
  /// Gives up a split that cannot be read. The source returns no more of its bytes.
  mutating func abandon(_ split: SplitID)
  /// Records that a split is done: it has ended or was abandoned, and the batches with all of its records are cut.
  mutating func finish(_ split: SplitID) throws(FileError)
  /// Starts to end the source: it accepts nothing new.
  ///
  /// - Returns: whether there are received bytes to read, up to `.end`; false if nothing is lost without reading
  ///   them.
  mutating func drain() -> Bool
}

extension Source {
  package var gap: String? { nil }
  package var isChangedInPlace: Bool { false }
  package var pathOnDisk: String? { nil }
  package var filesMayGo: Bool { false }
  package var openSplits: [SplitID] { [] }
  package func start(of split: SplitID) -> SplitStart { SplitStart(name: name) }
  package func file(of split: SplitID) -> (any File)? { nil }
  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? { nil }
  package var done: OpaqueBytes? { nil }
  package mutating func takeDoneChanges() -> DoneChanges { DoneChanges() }
  package mutating func settled(_ split: SplitID, at offset: Int) {}
  package func place(of split: SplitID, at offset: Int) -> String? { nil }
  package func messages(of split: SplitID, at offset: Int, atMost count: Int) -> MessageRun? { nil }
  package var partitionCount: Int? { nil }
  package var hasCaughtUp: Bool { true }
  package mutating func finish(_ split: SplitID) throws(FileError) {}
  package mutating func drain() -> Bool { false }
}

/// The number of a split in one run of a stream. Numbers ascend and are not reused.
package typealias SplitID = Int

/// An event of a source.
package enum SourceEvent: Sendable, Equatable {
  /// Bytes or messages of a split.
  case data(SplitID, Chunk)
  /// No more bytes of the split follow.
  case ended(SplitID)
  /// A part of the input is lost, in words. The source continues after it.
  case gap(String)
  /// There are no bytes for now.
  case idle(Awaiting)
  /// The source has ended, and so have all its splits.
  case end
}

/// A piece of a split.
package enum Chunk: Sendable, Equatable {
  /// The number of bytes at the start of the buffer.
  case bytes(Int)
  /// The same; a record ends with the last of them, whatever they contain.
  case message(Int)

  package var byteCount: Int {
    switch self {
    case .bytes(let count), .message(let count): count
    }
  }
}

/// The start of a split: its beginning, or the cursor of an earlier run.
package struct SplitStart: Sendable, Equatable {
  /// The name stays the same after a restart, if the split still exists.
  package var name: String
  /// The offset of the first byte in the compressed bytes; nil if they are not compressed.
  package var container: ContainerOffset?
  /// The number of decompressed bytes before the first record to read.
  package var byteOffset = 0
  /// The number of records before it.
  package var records = 0
  /// The data of the format's decoder at the cursor.
  package var decoder = OpaqueBytes()
  package var header = HeaderPlace.expected
  /// Whether the bytes were compressed after the cursor was taken, so that the frames differ.
  package var isReframed = false
  /// Whether the bytes are records as they are, whatever the first of them look like.
  package var isPlain = false

  package init(name: String) {
    self.name = name
  }

  /// The start at a cursor.
  package init(_ cursor: SplitCursor) {
    name = cursor.split
    container = cursor.container
    byteOffset = cursor.byteOffset
    records = cursor.records
    decoder = cursor.decoder
    if cursor.byteOffset > 0 { header = .passed }
  }
}

/// The data with which a source is opened.
package struct SourceContext: Sendable {
  package var connector: ConnectorContext
  /// The cursors of an earlier source; nil for the first.
  package var cursor: InputCursor?
  /// The done splits, by hash, for a source that keeps a list of them.
  package var doneSplits: Set<UInt64> = []
  /// The number of the source in a sequence; nil for a source by itself.
  package var part: Int?
  /// The files that later sources of a sequence read.
  package var others: Set<FileIdentity> = []
  /// Returns the first decompressed bytes, from the first compressed ones; nil if the container is unknown.
  package var decompressedStart: @Sendable ([UInt8]) -> [UInt8]? = { _ in nil }
  /// Whether bytes begin as compressed ones do.
  package var isCompressed: @Sendable ([UInt8]) -> Bool = { _ in false }

  package init(_ connector: ConnectorContext, cursor: InputCursor? = nil) {
    self.connector = connector
    self.cursor = cursor
  }

  package var fileSystem: any FileSystem { connector.fileSystem }
  package var clock: Clock { connector.clock }

  /// The hash of a split for the list of done ones. In a sequence it tells the source.
  static func doneHash(_ hash: UInt64, ofPart part: Int?) -> UInt64 {
    part.map { hash & ~15 | UInt64($0) } ?? hash
  }

  /// The number of the source in a sequence that made a hash.
  static func part(of hash: UInt64) -> Int { Int(hash & 15) }

  package var statistics: ConnectorStatistics { connector.statistics }
}

/// Opens a source.
package typealias SourceFactory = @Sendable (SourceContext) throws(FileError) -> any Source

/// A kind of source: its name in a configuration, the locations of the command line that select it, and its settings.
package struct SourceKind: ConnectorKind {
  package static let role = ConnectorRole.source
  package let name: String
  /// Whether the source has no end, so that batches are also cut by time.
  package let isLive: Bool
  /// Its splits.
  package let splits: Splits
  /// Its settings, in the section with its name and as options.
  package let settings: SettingGroup
  /// The location that its settings give.
  package let place: @Sendable (SettingValues) -> ConnectorPlace
  /// Opens a location of the command line; nil if the location does not select this kind.
  package let locate: @Sendable (_ location: String, SettingValues) -> SourceFactory?
  /// Opens the location that its settings give.
  package let open: @Sendable (SettingValues) -> SourceFactory
  /// Opens what is there now, as a source that ends; nil if it has no end.
  package let openBacklog: (@Sendable (SettingValues) -> SourceFactory)?
  /// Whether several streams may read the same source, since reading does not consume it.
  package let isShareable: Bool
  package let trial: ConnectorTrial
  /// The number of descriptors that it holds, with one connection.
  package let descriptorCount: Int
  package let threadCount: Int

  /// The splits of a source.
  package enum Splits: Sendable {
    case one
    case connections
    case files
    case partitions
  }

  /// The needs of settings that it meets.
  package var offers: Set<SettingNeed> {
    var offers: Set<SettingNeed> = isLive ? [.liveSource] : []
    if splits != .one { offers.insert(.severalSplits) }
    if splits == .files { offers.insert(.severalFiles) }
    return offers
  }

  package init(
    name: String, isLive: Bool, splits: Splits = .one, settings: SettingGroup,
    isShareable: Bool = false,
    trial: ConnectorTrial = .opening, descriptorCount: Int = 1, threadCount: Int = 0,
    locate: @escaping @Sendable (String, SettingValues) -> SourceFactory? = { _, _ in nil },
    place: @escaping @Sendable (SettingValues) -> ConnectorPlace,
    openBacklog: (@Sendable (SettingValues) -> SourceFactory)? = nil,
    open: @escaping @Sendable (SettingValues) -> SourceFactory
  ) {
    self.name = name
    self.isLive = isLive
    self.splits = splits
    self.settings = settings
    self.isShareable = isShareable
    self.trial = trial
    self.descriptorCount = descriptorCount
    self.threadCount = threadCount
    self.locate = locate
    self.place = place
    self.openBacklog = openBacklog
    self.open = open
  }
}

/// All sources of Evenkeel.
package enum BuiltInSources {
  /// The kinds, in the order in which they are asked. The last one takes every location.
  package static let all: [SourceKind] = [
    .standardInput, .follow, .directory, .fifo, .unix, .tcp, .kafka, .file,
  ]
}
