package import Configuration
package import Dataflow
internal import Glibc
package import Storage

/// Where the bytes of a stream come from.
///
/// A source gives one run of bytes after another, each with a number of its own: the one of a file or of
/// standard input, or one a connection, one a file of a directory, one a writer of a FIFO. Each is
/// compressed and cut into records by itself. A new source is one file beside this one and one line in
/// `BuiltInSources.all`.
package protocol ByteSource: Sendable {
  /// The name of the source in messages.
  var name: String { get }
  /// The number of bytes there are, where the source has an end of its own; nil for a live one.
  var size: Int? { get }
  /// The file or directory whose disk the source may wait for at any read; nil if it waits for none, or hardly ever.
  var pathOnDisk: String? { get }
  /// Whether a run that stops in the middle of a record is an everyday thing (a producer that died)
  /// that costs that record, not the stream.
  var endsAnywhere: Bool { get }
  /// Reads what is there, without waiting. At most one run is read from at once.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceRead
  /// What a later source of the same place must know so as not to read again the runs that have ended;
  /// nil where it could not read them again.
  var progress: [String]? { get }
  /// What a later source must know so as to give a run again, as far as it was read; nil where it
  /// could not.
  func mark(ofRun run: Int) -> String?
  /// Takes the `progress` of an earlier source, and the mark of the run that it was in, before the
  /// first read.
  mutating func resume(from progress: [String], run mark: String?) throws(FileError)
  /// Goes on with a run that has a mark at `offset`, in bytes from its beginning.
  ///
  /// - Returns: whether the run is so long.
  mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool
  /// Gives up a run whose bytes cannot be read; nothing more of it is given.
  mutating func abandon(run: Int)
  /// Begins to end: nothing new is taken from anyone.
  ///
  /// - Returns: whether what was handed over already is still to be read, up to `.end`; false where
  ///   nothing is lost by not reading it.
  mutating func drain() -> Bool
}

extension ByteSource {
  package mutating func drain() -> Bool { false }
}

extension ByteSource {
  package var pathOnDisk: String? { nil }
  package var progress: [String]? { nil }
  package func mark(ofRun run: Int) -> String? { nil }
  package mutating func resume(from progress: [String], run mark: String?) throws(FileError) {}
  package mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool {
    throw FileError(operation: .seek, path: name, errno: ESPIPE)
  }
}

/// What a read of a source gave.
package enum SourceRead: Sendable, Equatable {
  /// So many bytes of a run.
  case bytes(Int, run: Int)
  /// The run has ended; its number does not come again.
  case ended(run: Int)
  /// Nothing now.
  case waits(Awaiting)
  /// The source has ended, and so have all its runs.
  case end
}

/// Opens a source.
package typealias SourceFactory = @Sendable (ConnectorContext) throws(FileError) -> any ByteSource

/// A kind of source: its name in a configuration, which locations on the command line mean it, and how
/// it is configured.
package struct SourceKind: Sendable {
  package let name: String
  /// Whether the source has no end, so that batches are also cut by time.
  package let isLive: Bool
  /// What can be set of it, in the section under its name and by options.
  package let settings: SettingGroup
  /// Where the values of its settings lead to.
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
  /// Opens a location of the command line.
  ///
  /// - Parameter values: those of the kinds' options.
  package func open(
    _ location: String, _ values: SettingValues = SettingValues(), in context: ConnectorContext
  ) throws(FileError) -> any ByteSource {
    let factory = lazy.compactMap { $0.locate(location, values) }.first
    guard let factory else { preconditionFailure("the last kind takes every location") }
    return try factory(context)
  }
}
