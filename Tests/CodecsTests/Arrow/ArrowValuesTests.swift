import Testing

@testable import Codecs
@testable import Records

struct ArrowValuesTests {
  private func column(_ number: ArrowNumber, perRecord: Int = 1) -> ArrowColumn {
    ArrowColumn(
      number: number, place: ArrowPlace(node: 0, buffer: 0, views: 0), parents: [],
      valuesPerRecord: perRecord, isNullable: true, path: [0],
      elements: (0..<Int32(perRecord)).map { $0 }, features: Array(0..<perRecord))
  }

  /// The bytes of values, one byte off their alignment.
  private func bytes<Value: BitwiseCopyable>(_ values: [Value]) -> [UInt8] {
    [0] + values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
  }

  private func read(
    _ column: ArrowColumn, _ bytes: [UInt8], validity: [UInt8]? = nil, parent: [UInt8]? = nil,
    records: Int, precision: Precision
  ) -> (features: FeatureColumns, findings: ArrowValues.Findings) {
    var features = FeatureColumns(
      featureCount: column.features.count, capacity: records + 1, precision: precision)
    let findings = bytes.withUnsafeBytes { values in
      (validity ?? []).withUnsafeBytes { bits in
        (parent ?? []).withUnsafeBytes { above in
          ArrowValues.read(
            column,
            ArrowValues.Arrays(
              values: UnsafeRawBufferPointer(rebasing: values[1...]),
              validity: validity == nil ? nil : bits, parents: parent == nil ? [] : [above]),
            records: 0..<records, into: &features, from: 1)
        }
      }
    }
    features.count = records + 1
    return (features, findings)
  }

  @Test(arguments: [Precision.float32, .float64])
  func `each kind of number is read, nulls as NaN`(precision: Precision) {
    let count = 150
    let validity = (0..<19).map { UInt8(truncatingIfNeeded: $0 * 37 | 1) }
    let raw = (0..<count).map { $0 * 3 - 100 }
    let kinds: [(ArrowNumber, [UInt8])] = [
      (.float32, bytes(raw.map { Float($0) })), (.float64, bytes(raw.map { Double($0) })),
      (.int32, bytes(raw.map { Int32($0) })), (.int64, bytes(raw.map { Int64($0) })),
    ]
    for (number, bytes) in kinds {
      let (features, findings) = read(
        column(number), bytes, validity: validity, records: count, precision: precision)
      #expect(findings.hasMissing && !findings.hasInvalid)
      for record in 0..<count {
        let value = features[record: record + 1, feature: 0]
        let isValid = validity[record / 8] >> UInt8(record % 8) & 1 == 1
        #expect(isValid ? value == Double(raw[record]) : value.isNaN)
      }
    }
  }

  @Test func `infinities and NaN are found`() {
    var values = Array(repeating: Float(1), count: 40)
    #expect(
      !read(column(.float32), bytes(values), records: 40, precision: .float32).findings.hasMissing)
    values[33] = .nan
    var found = read(column(.float32), bytes(values), records: 40, precision: .float32).findings
    #expect(found.hasMissing && !found.hasInvalid)
    values[39] = -.infinity
    found = read(column(.float32), bytes(values), records: 40, precision: .float64).findings
    #expect(found.hasInvalid)
  }

  @Test func `values of lists are features side by side, null where the list is`() {
    let (records, perRecord) = (70, 5)
    let raw = (0..<records * perRecord).map { Double($0) }
    let validity = (0..<(records * perRecord + 7) / 8).map { UInt8(truncatingIfNeeded: ~$0) }
    let parent = (0..<9).map { UInt8(truncatingIfNeeded: 0xFF ^ $0) }
    let column = column(.float64, perRecord: perRecord)
    let (features, findings) = read(
      column, bytes(raw), validity: validity, parent: parent, records: records,
      precision: .float64)
    #expect(findings.hasMissing)
    for record in 0..<records {
      for element in 0..<perRecord {
        let bit = record * perRecord + element
        let isValid =
          validity[bit / 8] >> UInt8(bit % 8) & 1 == 1
          && parent[record / 8] >> UInt8(record % 8) & 1 == 1
        let value = features[record: record + 1, feature: element]
        #expect(isValid ? value == raw[bit] : value.isNaN)
      }
    }
  }

  @Test(arguments: [ArrowNumber.float32, .float64, .int32, .int64], [Precision.float32, .float64])
  func `columns are written over values, and what is missing stays`(
    number: ArrowNumber, precision: Precision
  ) {
    let (records, perRecord) = (43, 3)
    let column = column(number, perRecord: perRecord)
    var features = FeatureColumns(
      featureCount: perRecord, capacity: records + 2, precision: precision)
    features.count = records + 2
    for record in 0..<records {
      for feature in 0..<perRecord {
        let place = feature * features.capacity + record + 2
        let value = record % 4 == 1 ? Double.nan : Double(record * 10 + feature)
        switch precision {
        case .float32: features.withFloat32Columns { $0[place] = Float(value) }
        case .float64: features.withFloat64Columns { $0[place] = value }
        }
      }
    }
    var values = Array(repeating: UInt8(0xAB), count: records * perRecord * number.byteCount)
    values.withUnsafeMutableBytes {
      ArrowValues.write(column, features, from: 2, records: 0..<records, over: $0)
    }
    values.withUnsafeBytes { bytes in
      for record in 0..<records {
        for feature in 0..<perRecord {
          let offset = (record * perRecord + feature) * number.byteCount
          let isKept = bytes[offset..<offset + number.byteCount].allSatisfy { $0 == 0xAB }
          let value =
            number.byteCount == 4
            ? Double(bytes.loadUnaligned(fromByteOffset: offset, as: Float.self))
            : bytes.loadUnaligned(fromByteOffset: offset, as: Double.self)
          #expect(isKept == (record % 4 == 1))
          if !isKept { #expect(value == Double(record * 10 + feature)) }
        }
      }
    }
  }

  @Test func `frames in memory are compressed and read back, and wrong sizes refused`() throws {
    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    let (zstd, lz4) = (try ZstdFrames(level: 1), try LZ4Frames())
    for isZstd in [true, false] {
      let bound = isZstd ? ZstdFrames.bound(of: bytes.count) : LZ4Frames.bound(of: bytes.count)
      let frame = ByteBuffer()
      let size = try bytes.withUnsafeBytes {
        let room = frame.room(exactly: bound)
        return isZstd ? try zstd.compress($0, into: room) : try lz4.compress($0, into: room)
      }
      frame.advance(size)
      #expect(frame.count < 5000)
      func read(_ frame: [UInt8], _ count: Int) throws -> [UInt8] {
        var output = Array(repeating: UInt8(0), count: count)
        try frame.withUnsafeBytes { frame in
          try output.withUnsafeMutableBytes { output in
            if isZstd {
              try zstd.decompress(frame, into: output)
            } else {
              try lz4.decompress(frame, into: output, byteCount: count)
            }
          }
        }
        return output
      }
      let whole = Array(frame.readable)
      #expect(try read(whole, bytes.count) == bytes)
      #expect(throws: (any Error).self) { try read(whole, bytes.count - 1) }
      #expect(throws: (any Error).self) { try read(whole, bytes.count + 1) }
      for count in 0..<whole.count {
        #expect(throws: (any Error).self) { try read(Array(whole.prefix(count)), bytes.count) }
      }
      // The codec is as good as new afterwards.
      #expect(try read(whole, bytes.count) == bytes)
    }
  }
}
