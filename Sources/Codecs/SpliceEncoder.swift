internal import Records

/// Writes text records as they were read, with the new numbers in place of the old ones.
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

  func encode(_ slice: RecordSlice, into output: ByteBuffer) {
    NumberText.splice(slice, precision, overflow: overflow, into: output)
  }
}
