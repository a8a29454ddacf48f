internal import Records

/// Reads record batches with one schema, and opens the buffers of their features.
struct ArrowBatchReader: Sendable {
  let schema: ArrowSchema
  let features: ArrowFeatures
  /// The columns that are no features, if the output is a text with them.
  private let scalars: [ArrowScalarColumn]
  private let byteLimit: Int
  /// The name of the stamp that the output gets.
  private let stamp: String?
  private var buffers: ArrowBuffers?
  /// The dictionaries of `scalars`.
  private var words = ArrowWordLists()
  /// The bytes of the dictionaries since the last record batch.
  private var newWordBytes = 0

  /// - Parameters:
  ///   - byteLimit: the most bytes of a record batch.
  ///   - stamp: custom metadata that no record batch may have.
  init(
    _ schema: ArrowSchema, _ features: ArrowFeatures, scalars: [ArrowScalarColumn] = [],
    byteLimit: Int, stamp: String? = nil
  ) {
    self.stamp = stamp
    self.scalars = scalars
    self.schema = schema
    self.features = features
    self.byteLimit = byteLimit
  }

  /// Reads a batch.
  ///
  /// - Parameter bytes: begin with the message, and have its body.
  mutating func read(
    _ message: ArrowMessage, _ frame: ArrowFrame, _ bytes: UnsafeRawBufferPointer
  ) throws(RecordFault) -> ArrowBatch {
    if let stamp { try ArrowStamp.check(message, for: stamp) }
    let layout = try ArrowBatchLayout(
      message, schema: schema, features: features, scalars: scalars, byteLimit: byteLimit)
    let body = UnsafeRawBufferPointer(rebasing: bytes[frame.headBytes..<frame.byteCount])
    var left = byteLimit
    let metadata = Array(bytes[frame.prefixBytes..<frame.headBytes])
    let memory = try openValues(layout, metadata, body, &left)
    let arrays = try openScalars(scalars, layout, body, &left, tooLarge)
    defer { newWordBytes = 0 }
    return ArrowBatch(
      metadata: metadata, memory,
      bodyLengthPlace: try message.table.place(ofField: 3, byteCount: 8), layout: layout,
      features: features, scalars: arrays, wordBytes: newWordBytes)
  }

  /// Takes the values of a dictionary, if a column of an output of text has it.
  ///
  /// - Parameters:
  ///   - batch: the header of its message.
  ///   - body: the body of the message.
  mutating func takeDictionary(
    _ batch: FlatTable, body: ArraySlice<UInt8>
  ) throws(RecordFault) {
    let id: Int64 = try batch.integer(0, absent: 0)
    guard let user = scalars.first(where: { $0.dictionary?.id == id }) else { return }
    guard let table = try batch.table(1) else {
      throw RecordFault(expected: "an Arrow dictionary with values", found: "none")
    }
    let isDelta = try batch.integer(2, absent: UInt8(0)) != 0
    let column = ArrowScalarColumn(
      name: user.name, type: user.type, place: ArrowPlace(node: 0, buffer: 0, views: 0),
      parents: [])
    let layout = try ArrowBatchLayout(
      table, bodyBytes: body.count, schema: ArrowSchema(valuesOf: user.type), features: nil,
      scalars: [column], byteLimit: byteLimit)
    var left = words.bytesLeft(id: id, isDelta: isDelta)
    // A closure of `withUnsafeBytes` would lose the type of the error.
    let outcome = body.withUnsafeBytes { body in
      Result { () throws(RecordFault) in
        try openScalars([column], layout, body, &left, ArrowStanding.tooLarge)
      }
    }
    let arrays = try outcome.get()
    words.take(arrays[0], count: layout.records, id: id, isDelta: isDelta)
    newWordBytes += arrays[0].byteCount
  }

  /// The memory with the values of the features: the body, or the arrays that were compressed.
  ///
  /// - Parameter left: the bytes that they may have together.
  private mutating func openValues(
    _ layout: ArrowBatchLayout, _ metadata: [UInt8], _ body: UnsafeRawBufferPointer,
    _ left: inout Int
  ) throws(RecordFault) -> ArrowBatch.Memory {
    guard layout.compression != .none else {
      return ArrowBatch.Memory(values: Array(body), places: layout.columns)
    }
    let buffers = try openedBuffers()
    var places = layout.columns
    var arrays: [(stored: Range<Int>, opened: Range<Int>)] = []
    var end = 0
    func place(_ stored: Range<Int>, _ byteCount: Int) -> Range<Int> {
      let opened = end..<end + byteCount
      arrays.append((stored, opened))
      end = (opened.upperBound + ArrowBuffers.greatestPadding + 63) & ~63
      return opened
    }
    for (index, column) in features.columns.enumerated() {
      let byteCount = column.byteCount(ofRecords: layout.records)
      left -= byteCount
      guard left >= 0 else { throw tooLarge }
      let bitmapBytes = (layout.records * column.valuesPerRecord + 7) / 8
      places[index].values = place(places[index].values, byteCount)
      places[index].validity = places[index].validity.map { place($0, bitmapBytes) }
      places[index].parents = places[index].parents.map { place($0, (layout.records + 7) / 8) }
    }
    var fault: RecordFault?
    let values = [UInt8](unsafeUninitializedCapacity: end + ArrowBuffers.slack) { memory, count in
      let memory = UnsafeMutableRawBufferPointer(memory)
      do throws(RecordFault) {
        for (stored, opened) in arrays {
          try buffers.open(
            UnsafeRawBufferPointer(rebasing: body[stored]), layout.compression,
            needed: opened.count,
            into: UnsafeMutableRawBufferPointer(rebasing: memory[opened.lowerBound...]))
        }
        count = end
      } catch {
        fault = error
      }
    }
    if let fault { throw fault }
    var memory = ArrowBatch.Memory(values: values, places: places)
    let opened = Set(layout.columns.map(\.valuesIndex))
    for index in 0..<layout.bufferCount where !opened.contains(index) {
      memory.rest += body[layout.buffer(index, in: metadata)]
    }
    return memory
  }

  private mutating func openedBuffers() throws(RecordFault) -> ArrowBuffers {
    if let buffers { return buffers }
    do throws(CompressionError) {
      let made = try ArrowBuffers()
      buffers = made
      return made
    } catch {
      throw RecordFault(expected: "memory for decompressing", found: "none")
    }
  }

  private var tooLarge: RecordFault {
    RecordFault(
      expected: "an Arrow record batch of at most \(byteLimit) bytes",
      found: "a larger one after decompressing")
  }

  /// The values of columns that are no features.
  ///
  /// - Parameters:
  ///   - left: the bytes that they may have together.
  ///   - tooLarge: the fault if they have more.
  private mutating func openScalars(
    _ scalars: [ArrowScalarColumn], _ layout: ArrowBatchLayout, _ body: UnsafeRawBufferPointer,
    _ left: inout Int, _ tooLarge: RecordFault
  ) throws(RecordFault) -> [ArrowScalarArray] {
    guard !scalars.isEmpty else { return [] }
    let buffers = layout.compression == .none ? nil : try openedBuffers()
    var arrays: [ArrowScalarArray] = []
    for (column, place) in zip(scalars, layout.scalars) {
      arrays.append(
        try openScalar(column, place, (buffers, layout.compression), body, &left, tooLarge))
    }
    return arrays
  }

  /// The values of a column, and those of the elements of its lists.
  private func openScalar(
    _ column: ArrowScalarColumn, _ place: ArrowBatchLayout.Scalar,
    _ compressed: (by: ArrowBuffers?, ArrowCompression), _ body: UnsafeRawBufferPointer,
    _ left: inout Int, _ tooLarge: RecordFault
  ) throws(RecordFault) -> ArrowScalarArray {
    let bitmapBytes = (place.count + 7) / 8
    func open(_ range: Range<Int>, _ needed: Int, isText: Bool = false) throws(RecordFault)
      -> [UInt8]
    {
      let stored = UnsafeRawBufferPointer(rebasing: body[range])
      let bytes: [UInt8]
      if let buffers = compressed.by {
        guard needed <= left else { throw tooLarge }
        bytes = try buffers.open(
          stored, compressed.1, needed: needed, most: isText ? left : nil)
      } else {
        bytes = Array(stored)
      }
      guard bytes.count >= needed else {
        throw RecordFault(
          expected: "\(needed) bytes of column \(quoted(column.name))", found: "\(bytes.count)")
      }
      left -= bytes.count
      guard left >= 0 else { throw tooLarge }
      return bytes
    }
    let values = try open(
      place.values, ArrowScalarArray.valueBytes(column.storedType, records: place.count))
    let validity = try place.validity.map { (range) throws(RecordFault) in
      try open(range, bitmapBytes)
    }
    var parents: [[UInt8]] = []
    for parent in place.parents { parents.append(try open(parent, bitmapBytes)) }
    var data: [[UInt8]] = []
    for range in place.data { data.append(try open(range, 0, isText: true)) }
    var elements: [ArrowScalarArray] = []
    for (column, place) in zip(column.elements, place.elements) {
      elements.append(try openScalar(column, place, compressed, body, &left, tooLarge))
    }
    return try ArrowScalarArray(
      column, records: place.count, validity: validity, parents: parents, values: values,
      data: data, words: column.dictionary.flatMap { words[$0.id] }, elements: elements)
  }
}
