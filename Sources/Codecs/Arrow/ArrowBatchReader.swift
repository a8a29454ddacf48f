internal import Records

/// Reads record batches with one schema, and opens the buffers of their features.
struct ArrowBatchReader: Sendable {
  let schema: ArrowSchema
  let features: ArrowFeatures
  private let byteLimit: Int
  private var buffers: ArrowBuffers?

  /// - Parameter byteLimit: the most bytes of a record batch.
  init(_ schema: ArrowSchema, _ features: ArrowFeatures, byteLimit: Int) {
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
    let layout = try ArrowBatchLayout(
      message, schema: schema, features: features, byteLimit: byteLimit)
    let body = UnsafeRawBufferPointer(rebasing: bytes[frame.headBytes..<frame.byteCount])
    return ArrowBatch(
      metadata: Array(bytes[frame.prefixBytes..<frame.headBytes]), body: Array(body),
      bodyLengthPlace: try message.table.place(ofField: 3, byteCount: 8), layout: layout,
      features: features, arrays: try openArrays(layout, features, body))
  }

  /// The decompressed arrays of the features; nil if they are not compressed.
  private mutating func openArrays(
    _ layout: ArrowBatchLayout, _ features: ArrowFeatures, _ body: UnsafeRawBufferPointer
  ) throws(RecordFault) -> [ArrowBatch.Arrays]? {
    guard layout.compression != .none else { return nil }
    let buffers: ArrowBuffers
    do throws(CompressionError) {
      if let known = self.buffers { buffers = known } else { buffers = try ArrowBuffers() }
    } catch {
      throw RecordFault(expected: "memory for decompressing", found: "none")
    }
    self.buffers = buffers
    func open(_ range: Range<Int>, _ needed: Int) throws(RecordFault) -> [UInt8] {
      try buffers.open(
        UnsafeRawBufferPointer(rebasing: body[range]), layout.compression, needed: needed)
    }
    var left = byteLimit
    var arrays: [ArrowBatch.Arrays] = []
    for (column, place) in zip(features.columns, layout.columns) {
      left -= column.byteCount(ofRecords: layout.records)
      guard left >= 0 else {
        throw RecordFault(
          expected: "an Arrow record batch of at most \(byteLimit) bytes",
          found: "a larger one after decompressing")
      }
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
}
