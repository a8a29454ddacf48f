internal import Records

/// Writes text records as they were read, with new numbers in place of the old ones.
///
/// Every byte outside the spans of the features stays, and so does the spelling of every missing value.
struct SpliceEncoder: RecordEncoder {
  let prologue: [UInt8]
  let precision: Precision
  /// The spelling of a number beyond the range of the precision, for formats without `inf`.
  var overflow: [UInt8]?

  func encodePrologue(into output: ByteBuffer) {
    output.append(prologue)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let part = block.selection
    guard !part.isEmpty else { return }
    guard let text = block.payload.typed(SplicedText.self) else {
      preconditionFailure("expected the text of the records, found \(type(of: block.payload))")
    }
    let (start, end) = (part.lowerBound.payload, part.upperBound.payload)
    if block.isPassedThrough || start.items == end.items {
      output.append(text.bytes[start.bytes..<end.bytes])
    } else {
      NumberText.splice(
        text, part, block.columns, precision, overflow: overflow, into: output)
    }
  }
}
