internal import Configuration
internal import Records

/// Reads the start of a split: its schema, or the footer of its file.
extension ArrowDecoder {
  /// Reads the footer of the file.
  ///
  /// - Returns: false if more bytes are needed, since other places of the file cannot be read.
  mutating func findFooter(_ window: InputWindow) throws(RecordFault) -> Bool {
    if let file = options.elsewhere, ArrowFileWalk.isFile(file) {
      walk = try ArrowFileWalk(file, at: options.byteOffset)
      return true
    }
    guard window.bytes.count <= ArrowFileWalk.greatestWhole else {
      throw RecordFault(
        expected: "an Arrow file of at most \(ArrowFileWalk.greatestWhole) bytes, if it is "
          + "compressed or comes through a pipe", found: "a larger one: send a stream (.arrows)")
    }
    guard window.isLast else { return false }
    walk = try ArrowFileWalk(
      ArrowFileWalk.file(
        endingWith: Array(window.bytes), of: options.byteOffset + window.bytes.count),
      at: options.byteOffset)
    return true
  }

  /// The metadata of the schema message that a stream begins with; nil if it is not whole.
  mutating func schemaMetadata(
    at bytes: UnsafeRawBufferPointer, isLast: Bool
  ) throws(RecordFault) -> [UInt8]? {
    let start: ArrowFrame.Start
    do throws(RecordFault) {
      start = try ArrowFrame.start(of: FlatBytes(bytes))
    } catch {
      throw RecordFault(
        expected: "an Arrow stream or file", found: RecordFault.quote(bytes.prefix(4)))
    }
    guard case .message(let prefixBytes, let metadataBytes) = start,
      bytes.count - prefixBytes >= metadataBytes
    else {
      if case .end = start {
        throw RecordFault(expected: "an Arrow schema", found: "the end mark of a stream")
      }
      guard isLast else { return nil }
      throw RecordFault(
        expected: "an Arrow schema",
        found: bytes.isEmpty ? "nothing" : "the end of the stream within it")
    }
    openingBytes = prefixBytes + metadataBytes
    return Array(bytes[prefixBytes..<openingBytes])
  }

  /// Begins with a schema, which is a message with its prefix.
  mutating func begin(schemaMessage: [UInt8]) throws(RecordFault) -> StreamOpening {
    let message = try ArrowMetadata.firstMessage(of: schemaMessage)
    let schema = try ArrowMetadata.schema(of: message, options.limits)
    let stream = options.opening
    let shared = try schemaMetadata(of: stream, sharedBy: schema)
    let found: ArrowFeatures
    do throws(RecordFault) {
      found = try ArrowFeatures(
        options.features, excluding: options.exclude, roles: options.roles, of: schema,
        limits: options.limits)
    } catch {
      guard let stream else { throw error }
      // The stage tells the columns that differ.
      return StreamOpening(schema: stream.schema, columns: schema.fields.map(\.name), prologue: [])
    }
    let scalars = options.keepsFields ? ArrowScalars(schema, found.schema) : nil
    let lists = try options.listColumns(of: schema)
    let roles = try options.roleColumns(of: schema, found)
    reader = ArrowBatchReader(
      schema, found, scalars: (scalars?.sources ?? []) + lists + roles,
      byteLimit: options.limits.unitBytes,
      stamp: options.keepsFormat ? options.settings[RecordSettings.stamp] : nil)
    standing = ArrowStanding(schema: ArrowMetadata.framed(shared ?? message))
    var opening = StreamOpening(
      schema: found.schema, columns: found.names, prologue: standing.prologue, choice: found.choice)
    opening.warning = scalars?.warning
    return opening
  }

  /// The schema of the stream, which the output has for all splits, with its metadata; nil if this split is the first,
  /// or has other columns.
  ///
  /// - Throws: if the columns have the names of the stream's, and other types.
  func schemaMetadata(
    of stream: StreamOpening?, sharedBy schema: ArrowSchema
  ) throws(RecordFault) -> [UInt8]? {
    guard let stream, !stream.prologue.isEmpty else { return nil }
    let metadata = try ArrowMetadata.firstMessage(of: stream.prologue)
    let expected = try ArrowMetadata.schema(of: metadata, options.limits)
    if expected == schema { return metadata }
    guard expected.fields.map(\.name) == schema.fields.map(\.name) else { return nil }
    let differing = zip(expected.fields, schema.fields).first { $0 != $1 }
    throw RecordFault(
      expected: "the types of the stream's Arrow schema",
      found: "another type of column \(quoted(differing?.1.name ?? ""))")
  }

  /// Takes the dictionaries that stood at the cursor.
  mutating func restore() throws(RecordFault) {
    var rest = state.bytes.dropFirst()
    while !rest.isEmpty {
      let bytes = Array(rest)
      let count = try FlatBytes.read(bytes) { view throws(RecordFault) in
        guard
          case .message(let frame, let message) = try ArrowMessage.next(
            in: view, bodyLimit: ArrowStanding.limit), message.kind == .dictionaryBatch
        else { throw RecordFault(expected: "an Arrow dictionary in a checkpoint", found: "none") }
        try take(
          message.header, Array(bytes[..<frame.byteCount]), bodyBytes: frame.bodyBytes)
        return frame.byteCount
      }
      rest = rest.dropFirst(count)
    }
  }
}
