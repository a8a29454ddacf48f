package import Configuration
package import Dataflow
package import Records
package import Storage

/// The source of a stream's records: splits of bytes, each compressed and cut into records by
/// itself.
///
/// A split is a file, a connection, a writer of a FIFO. A source is opened at the cursors of an earlier
/// one (`SourceContext.cursor`) and gives what follows them. Then its life is:
///
/// 1. `read` gives bytes of a split; `start(of:)` tells how the first of them are to be read.
/// 2. `read` says that the split has ended, or the stream gives it up (`abandon`).
/// 3. The stream has cut the batch of its last record (`finish`): the split is done.
///
/// A new source is one file beside this one and one line in `BuiltInSources.all`.
package protocol Source: Sendable {
  /// The name of the source in messages.
  var name: String { get }
  /// The number of bytes there are, if the source has an end of its own; nil for a live one.
  var size: Int? { get }
  /// The file or directory whose disk the source may wait for at any read; nil if it waits for none, or
  /// hardly ever.
  var pathOnDisk: String? { get }
  /// Whether a split that stops in the middle of a record is an everyday thing (a producer that died)
  /// that costs that record, not the stream.
  var endsAnywhere: Bool { get }
  /// The part of the input after the cursors that cannot be read again, in words; nil if it reads all of
  /// it again. If so, the source begins with what there is.
  var gap: String? { get }
  /// Whether the reason for the gap is that the input was changed in place, which may be undone.
  var isChangedInPlace: Bool { get }
  /// The splits of the cursors that it goes on with, in their order.
  var openSplits: [SplitID] { get }
  /// Reads what is there, without waiting.
  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent
  /// How a split starts whose first bytes were just read.
  func start(of split: SplitID) -> SplitStart
  /// Leads a later source to the split and to an offset in its bytes; nil if it could not.
  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes?
  /// Tells a later source which splits are done; nil if this source cannot be read
  /// again. `nil` and not `nil` do not change during a run.
  var done: OpaqueBytes? { get }
  /// Takes the splits that were done, and those that may be forgotten, since the last call; for a source
  /// of so many that a list of them is kept beside the checkpoints.
  mutating func takeDoneChanges() -> DoneChanges
  /// Gives up a split that cannot be read; no more of its bytes are given.
  mutating func abandon(_ split: SplitID)
  /// Takes note that all that a checkpoint must know of a split that has ended or was abandoned is in
  /// batches that are cut: the split is done.
  mutating func finish(_ split: SplitID) throws(FileError)
  /// Begins to end: nothing new is taken from anyone.
  ///
  /// - Returns: whether what was handed over already is still to be read, up to `.end`; false if nothing
  ///   is lost by not reading it.
  mutating func drain() -> Bool
}

extension Source {
  package var gap: String? { nil }
  package var isChangedInPlace: Bool { false }
  package var pathOnDisk: String? { nil }
  package var openSplits: [SplitID] { [] }
  package func start(of split: SplitID) -> SplitStart { SplitStart(name: name) }
  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? { nil }
  package var done: OpaqueBytes? { nil }
  package mutating func takeDoneChanges() -> DoneChanges { DoneChanges() }
  package mutating func finish(_ split: SplitID) throws(FileError) {}
  package mutating func drain() -> Bool { false }
}

/// The number of a split within one run of a stream. It is given once, and ascends.
package typealias SplitID = Int

/// One thing that a source tells.
package enum SourceEvent: Sendable, Equatable {
  /// Bytes or messages of a split.
  case data(SplitID, Chunk)
  /// No more bytes of the split follow.
  case ended(SplitID)
  /// Something of the input is lost, in words; the source goes on after it.
  case gap(String)
  /// There is nothing now.
  case idle(Awaiting)
  /// The source has ended, and so have all its splits.
  case end
}

/// A piece of a split.
package enum Chunk: Sendable, Equatable {
  /// So many bytes, at the start of the buffer that was read into.
  case bytes(Int)
}

/// How a split starts: at the beginning, or at the cursor of an earlier run.
package struct SplitStart: Sendable, Equatable {
  /// Survives a restart, if the split does.
  package var name: String
  /// The offset of the first byte given in the compressed bytes; nil if they are not compressed.
  package var container: ContainerOffset?
  /// The decompressed bytes before the first record to be read.
  package var byteOffset = 0
  /// The records before it.
  package var records = 0
  /// The format's own note at the cursor.
  package var decoder = OpaqueBytes()
  package var header = HeaderPlace.expected
  /// Whether the bytes were compressed since the cursor was taken, in other frames.
  package var isReframed = false

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

/// Everything that a source is opened with.
package struct SourceContext: Sendable {
  package var connector: ConnectorContext
  /// The cursors of an earlier source; nil for the first.
  package var cursor: InputCursor?
  /// The splits that are done, by hash, of a source that has a list of them.
  package var doneSplits: Set<UInt64> = []
  /// The start of what compressed bytes hold, given their first ones; nil if they are in no container
  /// that is known.
  package var decompressedStart: @Sendable ([UInt8]) -> [UInt8]? = { _ in nil }

  package init(_ connector: ConnectorContext, cursor: InputCursor? = nil) {
    self.connector = connector
    self.cursor = cursor
  }

  package var fileSystem: any FileSystem { connector.fileSystem }
  package var clock: Clock { connector.clock }
  package var statistics: ConnectorStatistics { connector.statistics }
}

/// Opens a source.
package typealias SourceFactory = @Sendable (SourceContext) throws(FileError) -> any Source

/// A kind of source: its name in a configuration, which locations on the command line mean it, and how
/// it is configured.
package struct SourceKind: Sendable {
  package let name: String
  /// Whether the source has no end, so that batches are also cut by time.
  package let isLive: Bool
  /// Its settings, in the section under its name and by options.
  package let settings: SettingGroup
  /// The place that the values of its settings lead to.
  package let place: @Sendable (SettingValues) -> ConnectorPlace
  /// How a location on the command line is opened; nil if it does not mean this kind.
  package let locate: @Sendable (_ location: String, SettingValues) -> SourceFactory?
  /// How the place that the values of its settings lead to is opened.
  package let open: @Sendable (SettingValues) -> SourceFactory
  /// Whether several streams may read the same one, since reading takes nothing from it.
  package let isShareable: Bool
  package let trial: ConnectorTrial

  package init(
    name: String, isLive: Bool, settings: SettingGroup, isShareable: Bool = false,
    trial: ConnectorTrial = .opening,
    locate: @escaping @Sendable (String, SettingValues) -> SourceFactory? = { _, _ in nil },
    place: @escaping @Sendable (SettingValues) -> ConnectorPlace,
    open: @escaping @Sendable (SettingValues) -> SourceFactory
  ) {
    self.name = name
    self.isLive = isLive
    self.settings = settings
    self.isShareable = isShareable
    self.trial = trial
    self.locate = locate
    self.place = place
    self.open = open
  }
}

/// Every source that Evenkeel reads from.
package enum BuiltInSources {
  /// Asked in order; the last one takes what no other wants.
  package static let all: [SourceKind] = [
    .standardInput, .follow, .directory, .fifo, .unix, .tcp, .file,
  ]
}

extension [SourceKind] {
  /// How a location of the command line is opened.
  ///
  /// - Parameter values: those of the kinds' options.
  package func factory(
    _ location: String, _ values: SettingValues = SettingValues()
  ) -> SourceFactory {
    let factory = lazy.compactMap { $0.locate(location, values) }.first
    guard let factory else { preconditionFailure("the last kind takes every location") }
    return factory
  }
}
