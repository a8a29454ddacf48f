package import Configuration
package import Dataflow
internal import Glibc
package import Records
package import Storage

/// The destination of a stream's bytes.
///
/// A new sink is one file and one line in `BuiltInSinks.all`.
package protocol ByteSink: Sendable {
  /// The name of the sink in messages.
  var name: String { get }
  /// The file or directory on the disk that the sink may wait for; nil if it waits for none.
  var pathOnDisk: String? { get }
  /// The number of whole writes that no reader got, because there was none or it was too slow.
  var droppedWrites: Int { get }
  /// The condition on which `push` should be called although the sink can take more: a reader connects, disconnects
  /// or catches up, or a file reaches its maximum age. Nil if there is no such condition.
  var attention: Awaiting? { get }
  /// The end of the output so far, if a later sink can resume there; nil otherwise.
  var outputPosition: OutputPosition? { get }
  /// The position to which `resume(at: position)` really leads. It differs if the file was removed as too old.
  func position(toResumeAt position: OutputPosition) throws(FileError) -> OutputPosition
  /// Resumes at the end of an earlier sink: removes the output after `position`. Call it before `begin`.
  mutating func resume(at position: OutputPosition) throws(FileError)
  /// Starts a new output, and puts aside the output that it finds. Call it before `resume`, or instead of it.
  ///
  /// - Returns: the position at which a later sink can resume; nil if there is none.
  mutating func startNewOutput() throws(FileError) -> OutputPosition?
  /// Removes a last write that a crash cut off. Call it before `begin` and `resume`.
  ///
  /// - Parameters:
  ///   - position: the end of an earlier sink. The output before it is intact.
  ///   - wholeEnd: finds the end of the last whole write.
  /// - Returns: the end of the remaining output, for `resume`; nil if there is none.
  mutating func trim(
    after position: OutputPosition, wholeEnd: WholeEnd
  ) throws(FileError) -> OutputPosition?
  /// Completes an output of an earlier run that was killed, before a new output puts it aside: removes an incomplete
  /// last write, and adds the epilogue. Call it before `startNewOutput` and `begin`, if the sink does not resume.
  ///
  /// - Returns: the number of bytes removed; nil if the output was whole, or there was none.
  mutating func completeOldOutput(_ missingEnd: MissingEnd) throws(FileError) -> Int?
  /// Takes the prologue: the bytes before the records, such as a compressed header, possibly empty. It is called
  /// first, and again when the columns change. Every reader gets the prologue before its first record, and every file
  /// starts with it.
  ///
  /// - Parameter epilogue: the bytes after the records, if there are any: every file ends with them, and so does what
  ///   a reader gets.
  /// - Throws: ESPIPE if the epilogue needs a file and the sink has none.
  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError)
  /// Takes another prologue for the files and the readers that begin from now on. Those that have begun know the
  /// change from the records.
  mutating func changePrologue(to prologue: [UInt8])
  /// Takes bytes with whole records (and whole zstd frames). The last `push` must have returned nil.
  mutating func write(_ bytes: [UInt8]) throws(FileError)
  /// Takes the bytes of so many records, as `write` does.
  mutating func write(_ bytes: [UInt8], records: Int) throws(FileError)
  /// Takes the bytes of one write in pieces, which a file need not copy together.
  mutating func write(pieces: [[UInt8]]) throws(FileError)
  /// Takes records, and the message that each came in. The last `push` must have returned nil.
  ///
  /// - Parameter pieces: one with all records, or one for each message that the format writes.
  mutating func write(_ pieces: [[UInt8]], of origins: [MessageOrigin]) throws(FileError)
  /// Whether the sink makes use of `origins`.
  var keepsOrigins: Bool { get }
  /// Passes on the bytes that were taken, without waiting.
  ///
  /// - Returns: nil if the sink can take more; otherwise what to wait for before the next `push`.
  mutating func push() throws(FileError) -> Awaiting?
  /// Waits for the bytes that were passed on, before `sync`.
  ///
  /// - Returns: nil if `sync` need not wait for another process; otherwise what to wait for before the next call.
  mutating func settle() throws(FileError) -> Awaiting?
  /// Makes the bytes that were passed on durable, if the sink can.
  mutating func sync() throws(FileError)
  /// Takes note that no record follows: a reader gets the epilogue with the next `push`.
  mutating func end() throws(FileError)
  /// Completes the output; durably if it is a file.
  mutating func finish() throws(FileError)
}

extension ByteSink {
  package var pathOnDisk: String? { nil }
  package var droppedWrites: Int { 0 }
  package var attention: Awaiting? { nil }
  package var outputPosition: OutputPosition? { nil }
  package func position(
    toResumeAt position: OutputPosition
  ) throws(FileError) -> OutputPosition { position }
  package mutating func resume(at position: OutputPosition) throws(FileError) {}
  package mutating func startNewOutput() throws(FileError) -> OutputPosition? { nil }
  package mutating func trim(
    after position: OutputPosition, wholeEnd: WholeEnd
  ) throws(FileError) -> OutputPosition? { nil }
  package mutating func completeOldOutput(
    _ missingEnd: MissingEnd
  ) throws(FileError) -> Int? { nil }
  package mutating func write(pieces: [[UInt8]]) throws(FileError) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
    for piece in pieces { bytes += piece }
    try write(bytes)
  }
  package mutating func write(_ bytes: [UInt8], records: Int) throws(FileError) {
    try write(bytes)
  }
  package mutating func write(
    _ pieces: [[UInt8]], of origins: [MessageOrigin]
  ) throws(FileError) {
    try write(pieces: pieces)
  }
  package var keepsOrigins: Bool { false }
  package mutating func settle() throws(FileError) -> Awaiting? { nil }
  package mutating func sync() throws(FileError) {}
  package mutating func changePrologue(to prologue: [UInt8]) {}
  package mutating func end() throws(FileError) {}

  package mutating func begin(_ prologue: [UInt8]) throws(FileError) {
    try begin(prologue, endingWith: nil)
  }

  /// The bytes of an epilogue for a reader that gets them as a stream.
  ///
  /// - Throws: ESPIPE if the epilogue needs a file.
  func streamed(_ epilogue: (any Epilogue)?) throws(FileError) -> [UInt8] {
    guard epilogue?.needsFile != true else {
      throw FileError(operation: .seek, path: name, errno: ESPIPE)
    }
    return epilogue?.bytes ?? []
  }

  /// Passes on the bytes that were taken, and waits for that. For callers that have their own thread.
  package mutating func pushAll() throws(FileError) {
    while let awaited = try push() {
      var query = pollfd(fd: awaited.readiness?.descriptor ?? -1, events: 0, revents: 0)
      if case .writable = awaited.readiness {
        query.events = CShort(POLLOUT)
      } else {
        query.events = CShort(POLLIN)
      }
      // A signal ends the wait early. The next push tells whether the sink is ready.
      _ = poll(&query, 1, awaited.seconds.map { CInt($0 * 1000) } ?? -1)
    }
  }
}

/// Finds the end of the last whole record, or compressed frame, of a file.
///
/// - Parameters:
///   - start: an offset at which a record or frame starts.
///   - end: the end of the file.
package typealias WholeEnd =
  @Sendable (
    _ file: any File, _ start: Int, _ end: Int
  ) throws(FileError) -> Int

/// Finds what a file that a killed run left needs at its end: the length of its whole writes, and the epilogue after
/// them. Nil if the file is whole, or its form has no epilogue.
package typealias MissingEnd =
  @Sendable (
    _ file: any File, _ byteCount: Int
  ) throws(FileError) -> (wholeBytes: Int, epilogue: any Epilogue)?

/// A destination of dead letters that are messages.
package protocol LetterSink: ByteSink {
  /// Takes a bad record.
  ///
  /// - Parameters:
  ///   - origin: the message that it came in; nil if its source has none.
  ///   - reason: the fault of the record.
  mutating func write(
    refused record: [UInt8], of origin: MessageOrigin?, because reason: String
  ) throws(FileError)
}

/// Opens a sink of dead letters.
package typealias LetterFactory =
  @Sendable (ConnectorContext) throws(FileError) -> any LetterSink

/// Opens a sink.
package typealias SinkFactory = @Sendable (ConnectorContext) throws(FileError) -> any ByteSink

/// A kind of sink: its name in a configuration, the locations of the command line that select it, and its settings.
package struct SinkKind: ConnectorKind {
  package static let role = ConnectorRole.sink
  package let name: String
  /// Its settings, in the section with its name and as options.
  package let settings: SettingGroup
  /// The way in which `check --connect` tries it.
  package let trial: ConnectorTrial
  /// Opens a location of the command line; nil if the location does not select this kind.
  package let locate: @Sendable (_ location: String, SettingValues) -> SinkFactory?
  /// Whether the output is compressed if the settings of the stream do not say.
  package let isCompressed: @Sendable (SettingValues) -> Bool
  /// The location that its settings give.
  package let place: @Sendable (SettingValues) -> ConnectorPlace
  /// Opens the location that its settings give.
  package let open: @Sendable (SettingValues) -> SinkFactory
  /// The number of descriptors that it holds, with one connection.
  package let descriptorCount: Int
  package let threadCount: Int
  /// No two streams write to one place.
  package let isShareable = false

  package init(
    name: String, settings: SettingGroup, trial: ConnectorTrial = .opening,
    descriptorCount: Int = 1, threadCount: Int = 0,
    locate: @escaping @Sendable (String, SettingValues) -> SinkFactory? = { _, _ in nil },
    isCompressed: @escaping @Sendable (SettingValues) -> Bool = { _ in true },
    place: @escaping @Sendable (SettingValues) -> ConnectorPlace,
    open: @escaping @Sendable (SettingValues) -> SinkFactory
  ) {
    self.name = name
    self.settings = settings
    self.trial = trial
    self.descriptorCount = descriptorCount
    self.threadCount = threadCount
    self.locate = locate
    self.isCompressed = isCompressed
    self.place = place
    self.open = open
  }
}

/// All sinks of Evenkeel.
package enum BuiltInSinks {
  /// The kinds, in the order in which they are asked. The last one takes every location.
  package static let all: [SinkKind] = [.standardOutput, .fifo, .unix, .tcp, .kafka, .file]
}

extension [SinkKind] {
  /// Opens a location of the command line.
  package func open(
    _ location: String, _ values: SettingValues = SettingValues(), in context: ConnectorContext
  ) throws(FileError) -> any ByteSink {
    try factory(location, values)(context)
  }
}
