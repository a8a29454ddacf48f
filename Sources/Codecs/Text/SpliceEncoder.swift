internal import Records

/// Writes text records as they were read, with new numbers in place of the old ones.
///
/// Every byte outside the spans of the features stays, and so does the spelling of every missing value.
struct SpliceEncoder: RecordEncoder {
  let prologue: [UInt8]
  let precision: Precision
  /// The spelling of a number beyond the range of the precision, for formats without `inf`.
  var overflow: [UInt8]?
  /// The spelling of a value that is made missing.
  var missing: [UInt8] = []
  /// The character before a fraction.
  var decimal = UInt8(ascii: ".")

  func encodePrologue(into output: ByteBuffer) {
    output.append(prologue)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let part = block.selection
    guard !part.isEmpty else { return }
    guard let text = block.payload as? SplicedText else {
      preconditionFailure("expected the text of the records, found \(type(of: block.payload))")
    }
    let (start, end) = (part.lowerBound.payload, part.upperBound.payload)
    if let unnormalized = block.unnormalized {
      encode(text, part, block.columns, unnormalized, into: output)
    } else if start.items == end.items {
      output.append(text.bytes[start.bytes..<end.bytes])
    } else {
      NumberText.splice(
        text, part, block.columns, precision, overflow: overflow, decimal: decimal, into: output)
    }
  }
  /// Encodes records of which some features are not normalised.
  private func encode(
    _ text: SplicedText, _ part: Range<BlockOffset>, _ columns: FeatureColumns,
    _ unnormalized: UnnormalizedFeatures, into output: ByteBuffer
  ) {
    let (start, end) = (part.lowerBound.payload, part.upperBound.payload)
    var written = SplicedText()
    var copied = start.bytes
    for span in text.spans[start.items..<end.items] {
      let shift = UInt32(truncatingIfNeeded: written.bytes.count - copied)
      if !unnormalized.features[Int(span.cell) / columns.capacity] {
        written.spans.append(
          ValueSpan(start: span.start &+ shift, end: span.end &+ shift, cell: span.cell))
      } else if unnormalized.form == .missing {
        written.bytes += text.bytes[copied..<Int(span.start)] + missing
        copied = Int(span.end)
      }
    }
    written.bytes += text.bytes[copied..<end.bytes]
    guard !written.spans.isEmpty else { return output.append(written.bytes) }
    let all =
      BlockOffset()..<BlockOffset(records: columns.count, payload: written.end)
    NumberText.splice(
      written, all, columns, precision, overflow: overflow, decimal: decimal, into: output)
  }
}
