internal import Records

/// The texts of one column of a record batch.
struct ArrowText {
  private(set) var bytes: [UInt8] = []
  /// The end of each text in `bytes`, after a 0.
  private(set) var offsets: [Int32] = [0]
  /// The indices of the records without a text.
  private(set) var nulls: [Int] = []

  /// Appends the text of the next record; nil is null. Invalid UTF-8 is repaired.
  mutating func append(_ field: (some Collection<UInt8>)?) {
    if let field {
      if field.allSatisfy({ $0 < 0x80 }) {
        bytes += field
      } else {
        bytes += String(decoding: field, as: UTF8.self).utf8
      }
    } else {
      nulls.append(offsets.count - 1)
    }
    offsets.append(Int32(bytes.count))
  }
}

/// The texts of one column of a record batch, as indices of its different texts.
struct ArrowWords {
  private(set) var words = ArrowText()
  private(set) var indices: [Int32] = []
  private(set) var nulls: [Int] = []
  private var known: [ArraySlice<UInt8>: Int32] = [:]

  /// Takes the text of the next record; nil is null.
  mutating func append(_ field: ArraySlice<UInt8>?) {
    guard let field else {
      nulls.append(indices.count)
      indices.append(0)
      return
    }
    if let index = known[field] {
      indices.append(index)
      return
    }
    let index = Int32(known.count)
    known[Array(field)[...]] = index
    words.append(field)
    indices.append(index)
  }
}

/// The body of a record batch of our own.
struct ArrowBody {
  /// The alignment of a buffer. Readers that copy nothing want 64.
  private static let alignment = 64

  let records: Int
  let bytes: ByteBuffer
  /// One a column.
  private(set) var nullCounts: [Int] = []
  private(set) var buffers: [Range<Int>] = []

  init(records: Int) {
    self.records = records
    bytes = ByteBuffer(capacity: 64 << 10)
  }

  /// Pads the body to its own length.
  func pad() { bytes.pad(to: 8) }

  /// Appends the validity and the values of a feature. NaN is null.
  mutating func append(
    _ columns: FeatureColumns, feature: Int, _ records: Range<Int>, _ precision: Precision
  ) {
    var bitmap = [UInt8](repeating: 0, count: (records.count + 7) / 8)
    let column = ArrowColumn.plain(precision == .float32 ? .float32 : .float64, feature: feature)
    let valid = bitmap.withUnsafeMutableBytes {
      ArrowValues.fill(
        column, columns, from: records.lowerBound, records: 0..<records.count, validity: $0)
    }
    nullCounts.append(records.count - valid)
    appendBuffer { if valid < records.count { $0.append(bitmap) } }
    appendBuffer { bytes in
      let size = records.count * precision.byteCount
      let values = UnsafeMutableRawBufferPointer(start: bytes.reserve(size), count: size)
      // A NaN leaves the old value, which is 0 under a null.
      values.initializeMemory(as: UInt8.self, repeating: 0)
      ArrowValues.write(
        column, columns, from: records.lowerBound, records: 0..<records.count, over: values)
      bytes.advance(size)
    }
  }

  /// Appends the validity, the offsets and the bytes of texts.
  mutating func append(_ text: ArrowText) {
    precondition(text.offsets.count == records + 1)
    appendValidity(text.nulls)
    appendBuffer { bytes in
      text.offsets.withUnsafeBytes { bytes.append($0.bindMemory(to: UInt8.self)) }
    }
    appendBuffer { $0.append(text.bytes) }
  }

  /// Appends the validity and the indices of words.
  mutating func append(_ words: ArrowWords) {
    precondition(words.indices.count == records)
    appendValidity(words.nulls)
    appendBuffer { bytes in
      words.indices.withUnsafeBytes { bytes.append($0.bindMemory(to: UInt8.self)) }
    }
  }

  private mutating func appendValidity(_ nulls: [Int]) {
    let records = records
    nullCounts.append(nulls.count)
    appendBuffer { bytes in
      guard !nulls.isEmpty else { return }
      var bitmap = [UInt8](repeating: 0xFF, count: (records + 7) / 8)
      for record in nulls { bitmap[record / 8] &= ~(1 << UInt8(record % 8)) }
      bytes.append(bitmap)
    }
  }

  private mutating func appendBuffer(_ append: (ByteBuffer) -> Void) {
    bytes.pad(to: Self.alignment)
    let start = bytes.count
    append(bytes)
    buffers.append(start..<bytes.count)
  }
}

extension ArrowColumn {
  /// A top-level column of one feature.
  fileprivate static func plain(_ number: ArrowNumber, feature: Int) -> ArrowColumn {
    ArrowColumn(
      number: number, place: ArrowPlace(node: 0, buffer: 0, views: 0), parents: [],
      valuesPerRecord: 1, isNullable: true, path: [], elements: [0], features: [feature])
  }
}
