internal import Codecs
internal import Connectors
internal import Records

/// The messages that the records of a split came in.
extension SplitReader {
  /// Takes records into `block`, up to `limit`, and notes the message of each.
  ///
  /// Messages of one record each are decoded together. Of others, the decoder sees one message at a time.
  ///
  /// - Parameters:
  ///   - prologue: that of the stream.
  ///   - source: tells the messages; nil if the stream does not keep them.
  ///   - setsTimes: whether the timestamps of the messages are the event times of the records.
  mutating func decode(
    into block: inout RecordBlock, limit: Int, prologue: [UInt8]?, from source: (any Source)?,
    setsTimes: Bool
  ) -> Decoded {
    guard let source else { return decode(into: &block, limit: limit, prologue: prologue) }
    var prologue = prologue
    rejectedOrigin = nil
    while true {
      let (first, start) = (block.columns.count, byteOffset)
      guard let run = messages(in: source, atMost: limit - first) else {
        return decode(into: &block, limit: limit, prologue: prologue)
      }
      let place = place(in: run)
      let end =
        decompressor.isCompressed
        ? decompressor.frameEnd(after: byteOffset) : run.end <= byteOffset ? nil : run.end
      let isLimited = end.map { $0 < start + window.count } ?? false
      var decoded = decode(
        into: &block, limit: run.records == .any ? first + 1 : limit, prologue: prologue, upTo: end)
      if case .needsInput = decoded.outcome, isLimited, byteOffset == start {
        // The record goes on in the next message, such as one of CSV after a quote within a field.
        decoded = decode(into: &block, limit: first + 1, prologue: prologue)
      }
      note(run, from: place, in: &block, first, decoded, setsTimes)
      let goesOn =
        switch decoded.outcome {
        case .limitReached: block.columns.count < limit && byteOffset > start
        case .needsInput: isLimited && byteOffset > start
        case .unitEnded, .rejected, .failed: false
        }
      guard goesOn else { return decoded }
      prologue = decoded.progress.prologue
    }
  }

  private mutating func messages(in source: any Source, atMost count: Int) -> MessageRun? {
    let offset = decompressor.isCompressed ? position().frameOffset : byteOffset
    return source.messages(of: split, at: offset, atMost: count)
  }

  /// The number of blanks and line ends before the next record of a text.
  private var blankByteCount: Int {
    guard form.isText else { return 0 }
    return window.readable.prefix { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }.count
  }

  /// The place of the next record in the first message of a run: the number of bytes before it.
  private mutating func place(in run: MessageRun) -> Int {
    let blanks = run.records == .any ? blankByteCount : 0
    guard decompressor.isCompressed else { return byteOffset - run.start + blanks }
    // A message may have several frames.
    let position = position()
    return (position.frameOffset - run.start) << 32 | (position.byteOffsetInFrame + blanks)
  }

  /// The part of the first record that was taken of a run.
  private func part(at place: Int, of run: MessageRun, _ progress: DecodeProgress) -> Int {
    switch run.records {
    case .oneEach: 0
    case .any: place
    case .units: nextPart ?? (place + (progress.unitStart ?? 0)) << MessageOrigin.unitShift
    }
  }

  /// Notes the messages of the records from `first` on, and of one that was rejected.
  private mutating func note(
    _ run: MessageRun, from place: Int, in block: inout RecordBlock, _ first: Int,
    _ decoded: Decoded, _ setsTimes: Bool
  ) {
    let count = block.columns.count - first
    guard var origin = run.origins.first else { return }
    let part = part(at: place, of: run, decoded.progress)
    origin.part = part
    var next = run.origins.startIndex
    if run.records == .oneEach {
      for _ in 0..<min(count, run.origins.count) {
        block.origins.append(run.origins[next])
        next += 1
      }
    } else {
      block.origins.append(origin, records: count)
    }
    if setsTimes {
      for record in first..<first + count {
        let time = block.origins.origin(of: record)?.eventTime ?? RoleNumbers.absentTime
        block.columns.setTime(time, of: record)
      }
    }
    if case .rejected(let fault, _) = decoded.outcome {
      if setsTimes, fault.staysInOutput {
        block.columns.setTime(RoleNumbers.noTime, of: block.columns.count - 1)
      }
      if run.records == .oneEach, next < run.origins.endIndex { origin = run.origins[next] }
      rejectedOrigin = origin
    }
    nextPart =
      run.records == .units && decoded.progress.isInsideUnit
      ? part + decoded.progress.records : nil
  }
}
