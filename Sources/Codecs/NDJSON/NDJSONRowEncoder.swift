internal import Records

/// Writes a JSON object of the features for each record, for input of another format.
///
/// A missing value is `null`. So is a value beyond the range of the precision, because JSON has no infinity.
struct NDJSONRowEncoder: RecordEncoder {
  static let null = Array("null".utf8)

  private let precision: Precision
  /// The text before each value: `{"a":`, then `,"b":`, and so on.
  private let leads: [[UInt8]]

  init(schema: FeatureSchema, precision: Precision) {
    self.precision = precision
    leads = schema.names.enumerated().map { position, name in
      [UInt8(ascii: position == 0 ? "{" : ",")] + JSONRecordReader.quoted(name)
        + [UInt8(ascii: ":")]
    }
  }

  func encodePrologue(into output: ByteBuffer) {}

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let columns = block.columns
    for record in block.selectedRecords {
      if leads.isEmpty { output.append(UInt8(ascii: "{")) }
      for (feature, lead) in leads.enumerated() {
        output.append(lead)
        append(columns[record: record, feature: feature], to: output)
      }
      output.append([UInt8(ascii: "}"), UInt8(ascii: "\n")])
    }
  }

  private func append(_ value: Double, to output: ByteBuffer) {
    let float = Float(value)
    if precision == .float32, float.isFinite {
      float.appendText(to: output)
    } else if precision == .float64, value.isFinite {
      value.appendText(to: output)
    } else {
      output.append(Self.null)
    }
  }
}
