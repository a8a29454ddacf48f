internal import Features

/// Writes a batch of text records as they were read, with the new numbers in place of the old ones.
///
/// Every byte outside the spans of the features, and the spelling of every missing value, stays.
struct SpliceEncoder: RecordEncoder {
  let prologue: [UInt8]
  let precision: Precision
  /// What stands for a number beyond the range of the precision, in formats that know no `inf`.
  var overflow: [UInt8]?

  func encodePrologue(into output: ByteBuffer) {
    output.append(prologue)
  }

  func encode(_ batch: RecordBatch, into output: ByteBuffer) {
    guard !batch.passesThrough else { return output.append(batch.text) }
    switch (batch.features.columns, precision) {
    case (.float32(let values), .float32): splice(batch, values, output) { $0 }
    case (.float32(let values), .float64): splice(batch, values, output) { Double($0) }
    case (.float64(let values), .float32): splice(batch, values, output) { Float($0) }
    case (.float64(let values), .float64): splice(batch, values, output) { $0 }
    }
  }

  @inline(__always)
  private func splice<
    Stored: BinaryFloatingPoint, Written: BinaryFloatingPoint & FormattableNumber
  >(
    _ batch: RecordBatch, _ values: [Stored], _ output: ByteBuffer,
    _ convert: (Stored) -> Written
  ) {
    let bound = batch.text.count + batch.spans.count * NumberText.capacity
    let first = output.reserve(bound)
    var place = first
    batch.text.withUnsafeBufferPointer { text in
      guard let text = text.baseAddress else { return }
      var copied = 0
      for span in batch.spans {
        let value = values[Int(span.cell)]
        if value.isNaN { continue }
        let start = Int(span.start)
        copy(text + copied, start - copied, to: &place)
        let number = convert(value)
        if let overflow, number.isInfinite {
          place.update(from: overflow, count: overflow.count)
          place += overflow.count
        } else {
          place += number.writeText(to: place)
        }
        copied = Int(span.end)
      }
      copy(text + copied, batch.text.count - copied, to: &place)
    }
    output.advance(place - first)
  }

  @inline(__always)
  private func copy(
    _ source: UnsafePointer<UInt8>, _ count: Int, to place: inout UnsafeMutablePointer<UInt8>
  ) {
    // Between two features stands one delimiter, nearly always.
    if count == 1 {
      place.pointee = source.pointee
    } else {
      place.update(from: source, count: count)
    }
    place += count
  }
}
