internal import Configuration
internal import Records

// Invariants:
// - `unit` is the record batch whose rows are being taken. Its message is consumed with its last row.
// - `standing` has the dictionaries of this split, after the schema of the stream.
// - `state` begins with a byte that tells the container. The dictionaries that stand follow.

/// Reads an Arrow IPC stream or file: its schema, dictionaries and record batches.
struct ArrowDecoder: RecordDecoder {
  static let streamMark: UInt8 = 0
  static let fileMark: UInt8 = 1

  let options: DecoderOptions
  /// Whether the output is an Arrow file, in which each dictionary has one form.
  let writesFile: Bool
  var reader: ArrowBatchReader?
  var standing = ArrowStanding(schema: [])
  private var unit: ArrowUnit?
  /// The record batches of a file, by its footer; nil for a stream.
  var walk: ArrowFileWalk?
  /// The dictionaries of a file, which go before its record batches.
  private var dictionariesToSend: [[UInt8]] = []
  /// The bytes of the split that the opening took.
  var openingBytes = 0
  var state: OpaqueBytes

  init(_ options: DecoderOptions) {
    self.options = options
    writesFile = options.keepsFormat && options.settings[ArrowSettings.container] == .file
    state = options.state
  }

  func byteCount(of opening: StreamOpening) -> Int { openingBytes }

  // MARK: Opening

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    let bytes = UnsafeRawBufferPointer(window.bytes)
    let isUndecided = bytes.count < ArrowFooter.magic.count && ArrowFooter.magic.starts(with: bytes)
    guard window.isLast || !isUndecided else { return nil }
    let isFile = state.bytes.first == Self.fileMark || bytes.starts(with: ArrowFooter.magic)
    if isFile {
      guard try findFooter(window) else { return nil }
    }
    if options.header == .passed, let known = options.opening {
      let opening = try begin(schemaMessage: known.prologue)
      try restore()
      return opening
    }
    if let walk {
      guard bytes.starts(with: ArrowFooter.magic) else {
        throw RecordFault(
          expected: "the start of the Arrow file, as settings have changed since the checkpoint",
          found: "a later place")
      }
      state.bytes = [Self.fileMark]
      dictionariesToSend = try walk.dictionaryMessages()
      return try begin(schemaMessage: ArrowMetadata.framed(walk.schemaMessage))
    }
    guard let metadata = try schemaMetadata(at: bytes, isLast: window.isLast) else { return nil }
    return try begin(schemaMessage: ArrowMetadata.framed(metadata))
  }

  // MARK: Messages

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    guard options.keepsFormat else {
      var messages = ArrowPayload()
      defer {
        if options.keepsFields || !options.lists.isEmpty {
          var rows = block.takePayload(ArrowRows.self)
          rows.append(messages)
          block.payload = rows
        }
      }
      return decode(window, into: &block.columns, &messages, limit: limit, progress: &progress)
    }
    var payload = block.takePayload(ArrowPayload.self)
    defer { block.payload = payload }
    return decode(window, into: &block.columns, &payload, limit: limit, progress: &progress)
  }

  private mutating func decode(
    _ window: InputWindow, into columns: inout FeatureColumns, _ payload: inout ArrowPayload,
    limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    do throws(RecordFault) {
      try sendDictionaries(&payload, &progress)
      while unit == nil {
        let skipped = walk?.bytesToSkip(of: window.bytes.count - progress.consumed) ?? 0
        consume(skipped, &progress)
        if walk?.hasBatch == false { return .needsInput }
        let rest = UnsafeRawBufferPointer(window.bytes)[progress.consumed...]
        guard
          let byteCount = try takeMessage(
            UnsafeRawBufferPointer(rebasing: rest), isLast: window.isLast, &payload, &progress)
        else { return .needsInput }
        consume(byteCount, &progress)
      }
    } catch {
      return .failed(error)
    }
    guard var unit else { return .needsInput }
    progress.unitStart = progress.consumed
    let outcome = unit.take(
      into: &columns, &payload, limit: limit, options, progress: &progress)
    self.unit = unit
    if case .unitEnded = outcome {
      consume(unit.byteCount, &progress)
      self.unit = nil
    }
    return outcome
  }

  func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]? {
    guard !options.keepsFormat else { return nil }
    guard let rows = block.payload as? ArrowRows else {
      let none = PayloadOffset()..<PayloadOffset()
      return records.map { RecordPart(record: $0, payload: none, bytes: []) }
    }
    return records.map(rows.part)
  }

  private mutating func consume(_ byteCount: Int, _ progress: inout DecodeProgress) {
    progress.consumed += byteCount
    walk?.consume(byteCount)
  }

  /// Takes the message at the start of `bytes`.
  ///
  /// - Returns: the bytes that it takes, 0 for a record batch, which is consumed with its last row; nil if there is no
  ///   whole message.
  private mutating func takeMessage(
    _ bytes: UnsafeRawBufferPointer, isLast: Bool, _ payload: inout ArrowPayload,
    _ progress: inout DecodeProgress
  ) throws(RecordFault) -> Int? {
    switch try ArrowMessage.next(in: FlatBytes(bytes), bodyLimit: options.limits.unitBytes) {
    case nil:
      guard isLast, walk != nil || !bytes.isEmpty else { return nil }
      throw RecordFault(expected: "a whole Arrow message", found: "the end of the stream within it")
    case .end(let byteCount):
      guard walk == nil else {
        throw RecordFault(
          expected: "the Arrow message that the footer names", found: "the end mark of a stream")
      }
      return byteCount
    case .message(let frame, let message):
      try walk?.take(frame, message)
      switch message.kind {
      case .schema:
        guard
          try ArrowSchema(
            message.header, hasUnionValidity: message.hasUnionValidity, limits: options.limits)
            == reader?.schema
        else {
          throw RecordFault(expected: "one schema in an Arrow stream", found: "another")
        }
      case .dictionaryBatch:
        try takeDictionary(
          message.header, Self.bytes(of: frame, in: bytes), bodyBytes: frame.bodyBytes, &payload,
          &progress)
      case .recordBatch:
        try bringDictionaries(into: &payload, &progress)
        let batch = try reader?.read(message, frame, bytes)
        unit = batch.map { ArrowUnit($0, byteCount: frame.byteCount) }
        return 0
      }
      return frame.byteCount
    }
  }

  private mutating func sendDictionaries(
    _ payload: inout ArrowPayload, _ progress: inout DecodeProgress
  ) throws(RecordFault) {
    for message in dictionariesToSend {
      try FlatBytes.read(message) { view throws(RecordFault) in
        guard
          case .message(let frame, let found) = try ArrowMessage.next(
            in: view, bodyLimit: ArrowStanding.limit), found.kind == .dictionaryBatch
        else {
          throw RecordFault(
            expected: "an Arrow dictionary where the footer names one", found: "another message")
        }
        let whole =
          ArrowMetadata.framed(Array(message[frame.prefixBytes..<frame.headBytes]))
          + message[frame.headBytes..<frame.byteCount]
        try takeDictionary(
          found.header, whole, bodyBytes: frame.bodyBytes, &payload, &progress)
      }
    }
    dictionariesToSend = []
  }

  /// A message as it is written: with a prefix of 8 bytes.
  private static func bytes(of frame: ArrowFrame, in bytes: UnsafeRawBufferPointer) -> [UInt8] {
    ArrowMetadata.framed(Array(bytes[frame.prefixBytes..<frame.headBytes]))
      + bytes[frame.headBytes..<frame.byteCount]
  }

  private mutating func takeDictionary(
    _ header: FlatTable, _ message: [UInt8], bodyBytes: Int, _ payload: inout ArrowPayload,
    _ progress: inout DecodeProgress
  ) throws(RecordFault) {
    try bringDictionaries(into: &payload, &progress)
    if writesFile || walk != nil, try standing.isReplaced(by: header) {
      throw RecordFault(
        expected: "one dictionary an id, as an Arrow file has them",
        found: "another one: write a stream (.arrows)")
    }
    try take(header, message, bodyBytes: bodyBytes)
    state.bytes = [walk == nil ? Self.streamMark : Self.fileMark] + standing.bytes
    payload.append(.dictionary(.init(message: message, prologue: standing.prologue)))
    progress.prologue = standing.prologue
  }

  /// Takes a dictionary, of which the message is as it is written.
  mutating func take(
    _ header: FlatTable, _ message: [UInt8], bodyBytes: Int
  ) throws(RecordFault) {
    try standing.take(header, message: message)
    try reader?.takeDictionary(header, body: message.suffix(bodyBytes))
  }

  /// Sends the dictionaries of this split again, if those of another one are in force.
  private func bringDictionaries(
    into payload: inout ArrowPayload, _ progress: inout DecodeProgress
  ) throws(RecordFault) {
    guard options.keepsFormat, let inForce = progress.prologue, inForce != standing.prologue else {
      return
    }
    guard !writesFile else {
      throw RecordFault(
        expected: "dictionaries of one Arrow input, as a file has one dictionary an id",
        found: "those of several: write a stream (.arrows)")
    }
    for message in standing.messages {
      payload.append(.dictionary(.init(message: message, prologue: standing.prologue)))
    }
    progress.prologue = standing.prologue
  }

  func finish() throws(RecordFault) {}
}
