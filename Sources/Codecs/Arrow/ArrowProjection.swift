internal import Configuration
internal import Records

// Invariants:
// - New tables go before the old metadata, which stays after them as it is. An offset in a flatbuffer points forward, so
//   they refer to the old fields, types and custom metadata.
// - The metadata and the bodies that it gets were checked when they were read.

/// The columns of Arrow input that Arrow output keeps, in its order (`output.columns`).
struct ArrowProjection: Sendable {
  /// A column that is kept, with its children.
  private struct Column: Sendable {
    /// The index of its field in the schema.
    var field: Int
    var nodes: Range<Int>
    /// Its buffers, without the variadic buffers of views.
    var buffers: Range<Int>
    var views: Range<Int>
  }

  private let columns: [Column]
  /// Whether the input has views.
  private let hasViews: Bool
  /// The ids of the dictionaries that the columns use.
  private let dictionaries: Set<Int64>

  /// Nil if the settings choose no columns.
  ///
  /// - Throws: an error if the columns that the user chose are none.
  init?(_ settings: SettingValues, of schema: ArrowSchema) throws(FormatError) {
    guard let choice = ColumnChoice(settings) else { return nil }
    let ends =
      schema.fields.dropFirst().map(\.place) + [
        ArrowPlace(node: schema.nodeCount, buffer: schema.bufferCount, views: schema.viewCount)
      ]
    let order = try choice.order(of: ArrowNames.columns(of: schema))
    columns = order.map { index in
      let (start, end) = (schema.fields[index].place, ends[index])
      return Column(
        field: index, nodes: start.node..<end.node, buffers: start.buffer..<end.buffer,
        views: start.views..<end.views)
    }
    hasViews = schema.viewCount > 0
    dictionaries = Set(order.flatMap { schema.fields[$0].dictionaryIDs })
  }

  // MARK: Schema and dictionaries

  /// The metadata of a schema message with the columns alone.
  func schema(_ metadata: [UInt8]) throws(RecordFault) -> [UInt8] {
    try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let message = try ArrowMessage(bytes, bodyLimit: .max)
      let old = message.header
      let fields = try old.vector(1, stride: 4)
      let (custom, features) = (try old.vector(2, stride: 4), try old.vector(3, stride: 8))
      var writer = FlatWriter()
      let header = writer.appendMessage(
        message.kind, message.version, bodyBytes: 0,
        hasMetadata: Self.customMetadata(of: message) != nil)
      // `Schema`: endianness, fields, custom_metadata, features.
      let schema = writer.appendTable(
        [0, 4, custom == nil ? 0 : 8, features == nil ? 0 : 12], tableBytes: 16)
      writer.setOffset(at: header, to: schema)
      let vector = writer.appendOffsets(columns.count, at: schema + 4)
      var links = Self.links(to: message)
      if let custom { links.append((schema + 8, custom.origin)) }
      if let features { links.append((schema + 12, features.origin)) }
      for (index, column) in columns.enumerated() {
        guard let field = try fields?.table(column.field) else { continue }
        links.append((vector + 4 * index, field.start))
      }
      return writer.before(metadata, links)
    }
  }

  /// Those of some messages of dictionaries that a column uses.
  func kept(ofDictionaries messages: ArraySlice<UInt8>) -> [UInt8] {
    let messages = Array(messages)
    let kept = try? FlatBytes.read(messages) { bytes throws(RecordFault) in
      var (kept, offset): ([UInt8], Int) = ([], 0)
      while offset < bytes.count {
        let rest = FlatBytes(try bytes.slice(at: offset, count: bytes.count - offset))
        guard case .message(let frame, let found) = try ArrowMessage.next(in: rest, bodyLimit: .max)
        else { break }
        let end = offset + frame.byteCount
        if dictionaries.contains(try found.header.integer(0, absent: 0)) {
          kept += messages[offset..<end]
        }
        offset = end
      }
      return kept
    }
    return kept ?? []
  }

  // MARK: Record batches

  /// The metadata and the body of a record batch with the columns alone.
  func batch(
    _ metadata: [UInt8], _ body: [UInt8], isCompressed: Bool
  ) -> (metadata: [UInt8], body: [UInt8]) {
    Self.read(metadata) { message throws(RecordFault) in
      let old = message.header
      let (nodes, buffers) = (try old.vector(1, stride: 16), try old.vector(2, stride: 16))
      let counts = hasViews ? try old.vector(4, stride: 8) : nil
      let views = try (0..<(counts?.count ?? 0)).map { (view) throws(RecordFault) in
        Int(try counts?.bytes.integer(at: counts?.place(view) ?? 0, as: Int64.self) ?? 0)
      }
      let (keptBody, ranges) = Self.body(
        body,
        try bufferIndices(views).map { (index) throws(RecordFault) in
          try buffers.map { (vector) throws(RecordFault) in try vector.pair(index) } ?? (0, 0)
        }, isCompressed: isCompressed)

      let compression = try old.table(3)
      var writer = FlatWriter()
      let header = writer.appendMessage(
        message.kind, message.version, bodyBytes: keptBody.count,
        hasMetadata: Self.customMetadata(of: message) != nil)
      // `RecordBatch`: length, nodes, buffers, compression, variadicBufferCounts.
      let batch = writer.appendTable(
        [8, 4, 16, compression == nil ? 0 : 20, views.isEmpty ? 0 : 24], tableBytes: 28)
      writer.setOffset(at: header, to: batch)
      writer.set(try old.integer(0, absent: Int64(0)), at: batch + 8)
      let keptNodes = try columns.flatMap(\.nodes).map { (node) throws(RecordFault) in
        try nodes.map { (vector) throws(RecordFault) in try vector.pair(node) } ?? (0, 0)
      }
      writer.appendPairs(keptNodes, at: batch + 4)
      writer.appendPairs(ranges, at: batch + 16)
      if !views.isEmpty {
        writer.appendNumbers(columns.flatMap { views[$0.views] }, at: batch + 24)
      }
      var links = Self.links(to: message)
      if let compression { links.append((batch + 20, compression.start)) }
      return (writer.before(metadata, links), keptBody)
    }
  }

  /// The buffers of the columns, as indices into those of the input.
  ///
  /// - Parameter views: the variadic buffers of each view column of the input.
  private func bufferIndices(_ views: [Int]) -> [Int] {
    let sums = views.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    return columns.flatMap { column in
      column.buffers.lowerBound + sums[column.views.lowerBound]..<column.buffers.upperBound
        + sums[column.views.upperBound]
    }
  }

  /// A body of some buffers one after another, each of which has an offset and a size.
  private static func body(
    _ body: [UInt8], _ buffers: [(Int, Int)], isCompressed: Bool
  ) -> ([UInt8], [(Int, Int)]) {
    let alignment = isCompressed ? 8 : 64
    var ranges: [(Int, Int)] = []
    let capacity = buffers.reduce(8) { $0 + $1.1 + alignment }
    let kept = ArrowBodyRoom.bytes(capacity: capacity) { room in
      for (offset, size) in buffers {
        room.pad(to: alignment)
        ranges.append((room.count, size))
        room.append(body[offset..<offset + size])
      }
      room.pad(to: 8)
    }
    return (kept, ranges)
  }

  // MARK: Old metadata

  /// Reads the metadata of a record batch, which was checked before.
  private static func read<Result>(
    _ metadata: [UInt8], _ body: (ArrowMessage) throws(RecordFault) -> Result
  ) -> Result {
    do throws(RecordFault) {
      return try FlatBytes.read(metadata) { bytes throws(RecordFault) in
        try body(ArrowMessage(bytes, bodyLimit: .max))
      }
    } catch {
      preconditionFailure("Arrow metadata that was read cannot be read again: \(error)")
    }
  }

  /// The custom metadata of a message. Nobody has checked it: if it is damaged, the output does without.
  private static func customMetadata(of message: ArrowMessage) -> FlatVector? {
    (try? message.table.vector(4, stride: 4)) ?? nil
  }

  /// The offset of a new message to the custom metadata of the old one.
  private static func links(to message: ArrowMessage) -> [(place: Int, target: Int)] {
    customMetadata(of: message).map { [(FlatWriter.customMetadataPlace, $0.origin)] } ?? []
  }
}

extension ArrowField {
  /// The ids of the dictionaries of the field and of its children.
  fileprivate var dictionaryIDs: [Int64] {
    (dictionary.map { [$0.id] } ?? []) + children.flatMap(\.dictionaryIDs)
  }
}

extension FlatVector {
  /// The offset of the vector itself, to which the field of a table points.
  fileprivate var origin: Int { start - 4 }

  /// A struct of two numbers.
  fileprivate func pair(_ index: Int) throws(RecordFault) -> (Int, Int) {
    let place = place(index)
    return (
      Int(try bytes.integer(at: place, as: Int64.self)),
      Int(try bytes.integer(at: place + 8, as: Int64.self))
    )
  }
}
