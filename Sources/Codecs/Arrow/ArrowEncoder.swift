internal import Configuration
internal import Records

/// Writes an Arrow IPC stream or file: the messages of the input with other features, or record batches of the features
/// alone.
struct ArrowEncoder: RecordEncoder {
  /// The end mark of a stream.
  static let endMark: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
  private static let piecesTogether = 64 << 10

  private let container: ArrowContainer
  /// The name under which record batches tell the versions that normalised them.
  private let stamp: String?
  /// Whether nulls can become values: if β takes their place.
  private let fillsNulls: Bool
  /// The schema as it is written, with its prefix.
  private let schema: [UInt8]
  /// The size of the schema message in prologues of the input.
  private let inputSchemaBytes: Int
  /// The columns that the output keeps; nil if it keeps all.
  private let projection: ArrowProjection?
  /// The dictionaries of the input that stood at the start.
  private let dictionaries: ArraySlice<UInt8>
  /// Writes the records of another format; nil if they are Arrow.
  private let table: ArrowTable?

  init(_ options: EncoderOptions) throws(FormatError) {
    container = options.settings[ArrowSettings.container]
    stamp = options.settings[RecordSettings.stamp]
    fillsNulls = options.fillsMissing
    guard let prologue = options.prologue else {
      let table = try ArrowTable(options)
      self.table = table
      projection = nil
      schema = ArrowMetadata.framed(table.schemaMessage)
      inputSchemaBytes = 0
      dictionaries = []
      return
    }
    table = nil
    let (input, withFloats): (ArrowSchema, [UInt8])
    do throws(RecordFault) {
      let metadata = try ArrowMetadata.firstMessage(of: prologue)
      let limits = DecoderOptions(options.settings).limits
      input = try ArrowMetadata.schema(of: metadata, limits)
      let features = try ArrowFeatures(
        options.schema.names.map { FeaturePattern(name: $0) }, of: input, limits: limits)
      withFloats = try ArrowMetadata.withFloats(metadata, for: features)
      inputSchemaBytes = ArrowMetadata.framed(metadata).count
    } catch {
      throw FormatError(ArrowSettings.container, "the schema of the input is gone: \(error)")
    }
    let projection = try ArrowProjection(options.settings, of: input)
    do throws(RecordFault) {
      schema = ArrowMetadata.framed(try projection?.schema(withFloats) ?? withFloats)
    } catch {
      throw FormatError(RecordSettings.columns, "\(error)")
    }
    self.projection = projection
    dictionaries = prologue[inputSchemaBytes...]
  }

  func encodePrologue(into output: ByteBuffer) {
    encodePrologue(dictionaries, into: output)
  }

  private func encodePrologue(_ dictionaries: ArraySlice<UInt8>, into output: ByteBuffer) {
    if container == .file { output.append(ArrowFooter.fileStart) }
    output.append(schema)
    output.append(kept(ofDictionaries: dictionaries))
  }

  /// Those of some messages of dictionaries that the output needs.
  private func kept(ofDictionaries messages: ArraySlice<UInt8>) -> [UInt8] {
    projection?.kept(ofDictionaries: messages) ?? Array(messages)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    if let table { return table.appendBatch(block, to: output, stamp: stamp) }
    for piece in pieces(of: block) ?? [] { output.append(piece) }
  }

  func pieces(of block: RecordBlock) -> [[UInt8]]? {
    guard table == nil else { return nil }
    var pieces: [[UInt8]] = []
    write(block) { message in
      switch message {
      case .dictionary(let bytes): Self.add(bytes, to: &pieces)
      case .batch(let parts, _): for part in parts { Self.add(part, to: &pieces) }
      }
    }
    return pieces
  }

  func messages(of block: RecordBlock, after changes: inout [UInt8]) -> [EncodedMessage]? {
    guard table == nil else { return nil }
    var messages: [EncodedMessage] = []
    write(block) { message in
      switch message {
      case .dictionary(let bytes): changes += bytes
      case .batch(let parts, let slice):
        // A record batch without rows has no record, and so no message that it came in.
        guard slice.rows.upperBound > 0 else { return }
        messages.append(
          EncodedMessage(
            bytes: parts.reduce(into: changes) { $0 += $1 },
            lastRecord: slice.record + slice.rows.count - 1))
      }
    }
    return messages
  }

  /// A message of the stream, as it is written.
  private enum Message {
    case dictionary([UInt8])
    /// A record batch in parts, and its last slice.
    case batch([[UInt8]], ArrowPayload.Slice)
  }

  /// Writes the values of a block into its record batches, and takes each message that is whole.
  private func write(_ block: RecordBlock, _ take: (Message) -> Void) {
    guard let payload = block.payload as? ArrowPayload else { return }
    let part = block.selection
    // Slices that follow one another are written together.
    var open: ArrowPayload.Slice?
    for item in payload.items[part.lowerBound.payload.items..<part.upperBound.payload.items] {
      switch item {
      case .dictionary(let dictionary):
        if let slice = open.take() { slice.batch.write(slice, of: block, fillsNulls: fillsNulls) }
        take(.dictionary(kept(ofDictionaries: dictionary.message[...])))
      case .slice(let slice):
        if let before = open.take() {
          if let both = before.joined(with: slice) {
            open = both
          } else {
            before.batch.write(before, of: block, fillsNulls: fillsNulls)
            open = slice
          }
        } else {
          open = slice
        }
        guard slice.endsBatch, let last = open.take() else { continue }
        last.batch.write(last, of: block, fillsNulls: fillsNulls)
        take(.batch(last.batch.takeMessage(stamp: stamp, projection), last))
      }
    }
    if let slice = open { slice.batch.write(slice, of: block, fillsNulls: fillsNulls) }
  }

  /// Adds a piece. Small ones go together, since each is a write of its own.
  private static func add(_ piece: [UInt8], to pieces: inout [[UInt8]]) {
    if let last = pieces.last?.count, last + piece.count <= piecesTogether {
      pieces[pieces.count - 1] += piece
    } else if !piece.isEmpty {
      pieces.append(piece)
    }
  }

  func encodePrologue(after block: RecordBlock, into output: ByteBuffer) -> Bool {
    guard let payload = block.payload as? ArrowPayload else { return false }
    let part = block.selection
    let items = payload.items[part.lowerBound.payload.items..<part.upperBound.payload.items]
    for item in items.reversed() {
      guard case .dictionary(let dictionary) = item else { continue }
      encodePrologue(dictionary.prologue[inputSchemaBytes...], into: output)
      return true
    }
    return false
  }

  var epilogue: (any Epilogue)? {
    container == .file ? ArrowFileEnd() : FixedEpilogue(Self.endMark)
  }
}
