import Codecs
import Connectors
import Dataflow
import Records
import Storage

@testable import Stream

/// A fix of recovery that is taken out, to see that the simulation finds the fault.
enum RecoveryCanary: CaseIterable {
  /// Output is taken back though its input is gone.
  case outputIsTakenBackOverAGap
  /// Nobody knows which files were begun after the newest checkpoint.
  case beginningsAreNotRecorded
  /// A file is known by its path.
  case filesAreKnownByName
  /// A file is not looked for under other names.
  case siblingsAreNotFound
  case splitEndsAreNotCheckpointed
  /// A split is done before the batches of its records are cut.
  case splitsAreDoneAtTheirEnd
  /// The columns of a stream are in no checkpoint.
  case columnsAreForgotten
  /// A log that was emptied must begin with a header.
  case headersAreExpected
  /// The headers of two files must be the same bytes.
  case headersAreComparedByBytes
  /// A later file may have vectors of another length.
  case vectorsHaveAnyLength
  /// A file that cannot be read is read on.
  case badSplitsAreReadOn
  /// Nobody knows which files of a directory are done.
  case doneFilesAreForgotten
  /// The records before a failure of the input do not leave, nor does a checkpoint after them.
  case recordsBeforeAFailureStay
  /// The cursor at a bad record at which the stream stops is after it.
  case badRecordsArePassedOver

  /// The first seed of a small dose. A change of the simulation may move the seed that finds the fault.
  var firstSeed: UInt64 {
    switch self {
    case .beginningsAreNotRecorded: 730
    case .outputIsTakenBackOverAGap: 45
    case .splitEndsAreNotCheckpointed: 63
    case .splitsAreDoneAtTheirEnd: 12
    case .doneFilesAreForgotten: 7
    default: 1
    }
  }

  /// A promise of the file system without which the fix does nothing.
  var defect: (SimulatedFileSystem.Defect, under: String)? {
    switch self {
    case .filesAreKnownByName: (.identitiesAreNames, LogProducer.directory)
    case .siblingsAreNotFound: (.listIsShort, LogProducer.directory)
    default: nil
    }
  }

  func takeOutFix(of scenario: inout LiveScenario) {
    let open = scenario.definition.source.open
    let canary = self
    scenario.definition.source.open = { context throws(FileError) in
      var context = context
      if canary == .doneFilesAreForgotten { context.doneSplits = [] }
      return FaultySource(source: try open(context), canary: canary)
    }
    let format = scenario.definition.stream.format
    switch self {
    case .headersAreComparedByBytes:
      scenario.definition.stream.format = format.decoding { options throws(FormatError) in
        ByteComparingDecoder(decoder: try format.makeDecoder(options))
      }
    case .vectorsHaveAnyLength:
      scenario.definition.stream.format = format.decoding { options throws(FormatError) in
        var options = options
        options.opening = nil
        return try format.makeDecoder(options)
      }
    default: break
    }
  }
}

/// The first stage, which keeps to itself what it gives in the step in which the input fails.
struct FaultyIngest: Stage {
  var ingest: IngestStage
  let canary: RecoveryCanary?

  mutating func step(
    _ signal: consuming Signal<Nothing>, emit: (consuming IngestedItem) -> Void
  ) throws -> Progress {
    var items: [IngestedItem] = []
    do {
      let progress = try ingest.step(signal) { items.append($0) }
      for item in items { emit(item) }
      return progress
    } catch {
      let isInput = (error as? StreamError)?.isInput ?? false
      if canary != .recordsBeforeAFailureStay || !isInput { for item in items { emit(item) } }
      throw error
    }
  }
}

/// A source that breaks a promise.
private struct FaultySource: Source {
  var source: any Source
  let canary: RecoveryCanary

  var name: String { source.name }
  var size: Int? { source.size }
  var pathOnDisk: String? { source.pathOnDisk }
  var endsAnywhere: Bool { source.endsAnywhere }
  var isChangedInPlace: Bool { source.isChangedInPlace }
  var filesMayGo: Bool { canary == .beginningsAreNotRecorded ? false : source.filesMayGo }
  var openSplits: [SplitID] { source.openSplits }
  var done: OpaqueBytes? { source.done }

  var gap: String? { canary == .outputIsTakenBackOverAGap ? nil : source.gap }

  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    let event = try source.read(into: buffer)
    if canary == .splitsAreDoneAtTheirEnd, case .ended(let split) = event {
      try source.finish(split)
    }
    return event
  }

  func start(of split: SplitID) -> SplitStart {
    var start = source.start(of: split)
    if canary == .headersAreExpected, start.header == .optional { start.header = .expected }
    return start
  }

  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    try source.mark(of: split, at: offset)
  }

  mutating func takeDoneChanges() -> DoneChanges { source.takeDoneChanges() }

  mutating func abandon(_ split: SplitID) {
    if canary != .badSplitsAreReadOn { source.abandon(split) }
  }

  mutating func finish(_ split: SplitID) throws(FileError) { try source.finish(split) }
  mutating func drain() -> Bool { source.drain() }
}

/// A decoder that takes each spelling of a header for other columns.
private struct ByteComparingDecoder: RecordDecoder {
  var decoder: any RecordDecoder

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    var opening = try decoder.open(window)
    if let found = opening, !found.prologue.isEmpty {
      opening?.columns = [String(decoding: found.prologue, as: UTF8.self)]
    }
    return opening
  }

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    decoder.decode(window, into: &block, limit: limit, progress: &progress)
  }

  func finish() throws(RecordFault) { try decoder.finish() }
}

/// A decoder that does not tell how many bytes a bad record has, so that nobody can go back before it.
private struct ForgetfulDecoder: RecordDecoder {
  var decoder: any RecordDecoder

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    try decoder.open(window)
  }

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    let outcome = decoder.decode(window, into: &block, limit: limit, progress: &progress)
    guard case .rejected(let fault, _) = outcome else { return outcome }
    return .rejected(fault, byteCount: 0)
  }

  func finish() throws(RecordFault) { try decoder.finish() }
}

extension RecordFormat {
  /// The same format, which forgets where bad records begin.
  var forgettingBadRecords: RecordFormat {
    let format = self
    return decoding { options throws(FormatError) in
      ForgetfulDecoder(decoder: try format.makeDecoder(options))
    }
  }

  /// The same format with another decoder.
  fileprivate func decoding(
    by makeDecoder: @escaping @Sendable (DecoderOptions) throws(FormatError) -> any RecordDecoder
  ) -> RecordFormat {
    RecordFormat(
      name: name, fileExtensions: fileExtensions, settings: settings, precision: precision,
      featureCount: featureCount, check: check, recordEnds: recordEnds, makeDecoder: makeDecoder,
      makeEncoder: makeEncoder)
  }
}
