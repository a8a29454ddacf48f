package import Configuration
package import Dataflow
internal import Glibc
package import Records
package import Storage

/// Where the bytes of a stream go.
///
/// A new sink is one file beside this one and one line in `BuiltInSinks.all`.
package protocol ByteSink: Sendable {
  /// The name of the sink in messages.
  var name: String { get }
  /// The file or directory whose disk the sink may wait for; nil if it waits for none.
  var pathOnDisk: String? { get }
  /// Whole writes that no reader got, because none was there or it was too slow.
  var droppedWrites: Int { get }
  /// What is worth a `push` even though the sink can take more: a reader that comes or goes, one that
  /// catches up, a file that comes of age. Nil where there is nothing of the kind.
  var attention: Awaiting? { get }
  /// How far the output has come, where a later sink could go on from there; nil where it could not.
  var outputPosition: OutputPosition? { get }
  /// The position that `resume(at: position)` leads to: another one where that file is gone as too old.
  func place(toResumeAt position: OutputPosition) throws(FileError) -> OutputPosition
  /// Goes on from where an earlier sink had come to: what was written behind it is taken back. Before
  /// `begin`.
  mutating func resume(at position: OutputPosition) throws(FileError)
  /// Goes on where nothing of this output is yet: what is found is put aside. Before `resume`,
  /// or in its place.
  ///
  /// - Returns: the place for a later sink to go on from; nil where there is none.
  mutating func beginAnew() throws(FileError) -> OutputPosition?
  /// Removes a last write that a crash cut off. Before `begin` and `resume`.
  ///
  /// - Parameters:
  ///   - position: where an earlier sink had come to; all before it is whole.
  ///   - wholeEnd: finds the end of the last whole write.
  /// - Returns: the end of what is left, for `resume`; nil where there is none.
  mutating func trim(
    after position: OutputPosition, wholeEnd: WholeEnd
  ) throws(FileError) -> OutputPosition?
  /// Takes what precedes the records (a header, already compressed; possibly nothing), first, and again
  /// when other records follow: every reader gets it before its first record, and every file starts with
  /// it.
  mutating func begin(_ prologue: [UInt8]) throws(FileError)
  /// Takes bytes that hold whole records (and whole zstd frames); `push` has said `nil` before.
  mutating func write(_ bytes: [UInt8]) throws(FileError)
  /// Passes on what was taken, without waiting.
  ///
  /// - Returns: nil when the sink can take more; else what to wait for before `push` is called again.
  mutating func push() throws(FileError) -> Awaiting?
  /// Makes what was passed on durable, as far as the sink can.
  mutating func sync() throws(FileError)
  /// Completes the output, durably where it is a file.
  mutating func finish() throws(FileError)
}

extension ByteSink {
  package var pathOnDisk: String? { nil }
  package var droppedWrites: Int { 0 }
  package var attention: Awaiting? { nil }
  package var outputPosition: OutputPosition? { nil }
  package func place(
    toResumeAt position: OutputPosition
  ) throws(FileError) -> OutputPosition { position }
  package mutating func resume(at position: OutputPosition) throws(FileError) {}
  package mutating func beginAnew() throws(FileError) -> OutputPosition? { nil }
  package mutating func trim(
    after position: OutputPosition, wholeEnd: WholeEnd
  ) throws(FileError) -> OutputPosition? { nil }
  package mutating func sync() throws(FileError) {}

  /// Passes on what was taken, and waits for that; for callers with a thread of their own.
  package mutating func pushAll() throws(FileError) {
    while let awaited = try push() {
      var query = pollfd(fd: awaited.readiness?.descriptor ?? -1, events: 0, revents: 0)
      if case .writable = awaited.readiness {
        query.events = CShort(POLLOUT)
      } else {
        query.events = CShort(POLLIN)
      }
      // A signal ends the wait early, and the next push tells whether it was in vain.
      _ = poll(&query, 1, awaited.seconds.map { CInt($0 * 1000) } ?? -1)
    }
  }
}

/// Finds the end of the last whole record, or compressed frame, of a file.
///
/// - Parameters:
///   - start: an offset at which one starts.
///   - end: the end of the file.
package typealias WholeEnd =
  @Sendable (
    _ file: any File, _ start: Int, _ end: Int
  ) throws(FileError) -> Int

/// Opens a sink.
package typealias SinkFactory = @Sendable (ConnectorContext) throws(FileError) -> any ByteSink

/// A kind of sink: its name in a configuration, which locations on the command line mean it, and how it
/// is configured.
package struct SinkKind: Sendable {
  package let name: String
  /// What can be set of it, in the section under its name and by options.
  package let settings: SettingGroup
  /// How it is tried by `check --connect`.
  package let trial: ConnectorTrial
  /// How a location on the command line is opened; nil if it does not mean this kind.
  package let locate: @Sendable (_ location: String, SettingValues) -> SinkFactory?
  /// Where the values of its settings lead to.
  package let place: @Sendable (SettingValues) -> ConnectorPlace
  /// How the place that the values of its settings lead to is opened.
  package let open: @Sendable (SettingValues) -> SinkFactory

  package init(
    name: String, settings: SettingGroup, trial: ConnectorTrial = .opening,
    locate: @escaping @Sendable (String, SettingValues) -> SinkFactory? = { _, _ in nil },
    place: @escaping @Sendable (SettingValues) -> ConnectorPlace,
    open: @escaping @Sendable (SettingValues) -> SinkFactory
  ) {
    self.name = name
    self.settings = settings
    self.trial = trial
    self.locate = locate
    self.place = place
    self.open = open
  }
}

/// Every sink that Evenkeel writes to.
package enum BuiltInSinks {
  /// Asked in order; the last one takes what no other wants.
  package static let all: [SinkKind] = [.standardOutput, .fifo, .unix, .tcp, .file]
}

extension [SinkKind] {
  /// How a location of the command line is opened.
  ///
  /// - Parameter values: those of the kinds' options.
  package func factory(
    _ location: String, _ values: SettingValues = SettingValues()
  ) -> SinkFactory {
    let factory = lazy.compactMap { $0.locate(location, values) }.first
    guard let factory else { preconditionFailure("the last kind takes every location") }
    return factory
  }

  /// Opens a location of the command line.
  package func open(
    _ location: String, _ values: SettingValues = SettingValues(), in context: ConnectorContext
  ) throws(FileError) -> any ByteSink {
    try factory(location, values)(context)
  }
}
