internal import Records

/// Writes a JSON object for each record of another format: its features, and its other columns if they have a text.
///
/// A missing value is `null`. So is a value beyond the range of the precision, because JSON has no infinity.
struct NDJSONRowEncoder: RecordEncoder {
  static let null = Array("null".utf8)

  private let precision: Precision
  /// The text before each value: `{"a":`, then `,"b":`, and so on.
  private let leads: [[UInt8]]
  /// The other columns; nil if there are only features.
  private let scalars: (any ScalarFields)?

  init(_ options: EncoderOptions) {
    precision = options.precision
    scalars = options.scalars
    leads = options.rowColumns.enumerated().map { position, name in
      [UInt8(ascii: position == 0 ? "{" : ",")] + JSONRecordReader.quoted(name)
        + [UInt8(ascii: ":")]
    }
  }

  func encodePrologue(into output: ByteBuffer) {}

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    if let scalars { return encode(block, scalars, into: output) }
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

  private func encode(
    _ block: RecordBlock, _ scalars: any ScalarFields, into output: ByteBuffer
  ) {
    let columns = scalars.columns
    let text = ByteBuffer()
    scalars.forEachRecord(of: block) { record, spell in
      for (index, column) in columns.enumerated() {
        output.append(leads[index])
        if case .feature(let feature) = column.kind {
          append(block.columns[record: record, feature: feature], to: output)
          continue
        }
        text.removeAll()
        guard spell(index, text) else {
          output.append(Self.null)
          continue
        }
        let bytes = Array(text.readable)
        switch column.kind {
        case .text: JSONText.append(bytes[...], to: output)
        // JSON has no infinity.
        case .float: output.append(bytes.contains(UInt8(ascii: "i")) ? Self.null : bytes)
        case .literal, .feature: output.append(bytes)
        }
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
