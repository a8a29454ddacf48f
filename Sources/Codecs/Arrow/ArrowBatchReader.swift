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
    let arrays = try openArrays(layout, features, body, &left)
    return ArrowBatch(
      metadata: Array(bytes[frame.prefixBytes..<frame.headBytes]), body: Array(body),
      bodyLengthPlace: try message.table.place(ofField: 3, byteCount: 8), layout: layout,
      features: features, arrays: arrays, scalars: try openScalars(layout, body, &left))
  }

  /// The decompressed arrays of the features; nil if they are not compressed.
  ///
  /// - Parameter left: the bytes that they may have together.
  private mutating func openArrays(
    _ layout: ArrowBatchLayout, _ features: ArrowFeatures, _ body: UnsafeRawBufferPointer,
    _ left: inout Int
  ) throws(RecordFault) -> [ArrowBatch.Arrays]? {
    guard layout.compression != .none else { return nil }
    let buffers = try openedBuffers()
    func open(_ range: Range<Int>, _ needed: Int) throws(RecordFault) -> [UInt8] {
      try buffers.open(
        UnsafeRawBufferPointer(rebasing: body[range]), layout.compression, needed: needed)
    }
    var arrays: [ArrowBatch.Arrays] = []
    for (column, place) in zip(features.columns, layout.columns) {
      left -= column.byteCount(ofRecords: layout.records)
      guard left >= 0 else { throw tooLarge }
      let bitmapBytes = (layout.records * column.valuesPerRecord + 7) / 8
      var opened = ArrowBatch.Arrays(hasValidity: place.validity != nil, nullCount: place.nullCount)
      opened.values = try open(place.values, column.byteCount(ofRecords: layout.records))
      opened.validity = try place.validity.map { (range) throws(RecordFault) in
        try open(range, bitmapBytes)
      }
      for parent in place.parents {
        opened.parents.append(try open(parent, (layout.records + 7) / 8))
      }
      arrays.append(opened)
    }
    return arrays
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

  /// The values of the columns that are no features.
  ///
  /// - Parameter left: the bytes that they may have together.
  private mutating func openScalars(
    _ layout: ArrowBatchLayout, _ body: UnsafeRawBufferPointer, _ left: inout Int
  ) throws(RecordFault) -> [ArrowScalarArray] {
    guard !scalars.isEmpty else { return [] }
    let buffers = layout.compression == .none ? nil : try openedBuffers()
    let bitmapBytes = (layout.records + 7) / 8
    var arrays: [ArrowScalarArray] = []
    for (column, place) in zip(scalars, layout.scalars) {
      func open(_ range: Range<Int>, _ needed: Int, isText: Bool = false) throws(RecordFault)
        -> [UInt8]
      {
        let stored = UnsafeRawBufferPointer(rebasing: body[range])
        let bytes: [UInt8]
        if let buffers {
          guard needed <= left else { throw tooLarge }
          bytes = try buffers.open(
            stored, layout.compression, needed: needed, most: isText ? left : nil)
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
        place.values, ArrowScalarArray.valueBytes(column.type, records: layout.records))
      let validity = try place.validity.map { (range) throws(RecordFault) in
        try open(range, bitmapBytes)
      }
      var parents: [[UInt8]] = []
      for parent in place.parents { parents.append(try open(parent, bitmapBytes)) }
      var data: [[UInt8]] = []
      for range in place.data { data.append(try open(range, 0, isText: true)) }
      arrays.append(
        try ArrowScalarArray(
          column, records: layout.records, validity: validity, parents: parents, values: values,
          data: data))
    }
    return arrays
  }
}
