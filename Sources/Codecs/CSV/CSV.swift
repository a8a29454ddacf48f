internal import Configuration
internal import Records

extension RecordFormat {
  /// Comma-separated values of RFC 4180, with any one-byte delimiter.
  package static let csv = RecordFormat(
    name: "csv", fileExtensions: ["csv", "tsv", "tab"], vagueExtensions: ["txt"],
    settings: CSVSettings.group,
    suggest: { name, _, values in
      if name == "tsv" || name == "tab" { values.suggest(CSVSettings.delimiter, 0x09) }
    },
    recordEnds: { _, _, _ in .lines(quote: UInt8(ascii: "\"")) },
    fields: { opening, settings in CSVTextFields(opening, settings) },
    makeDecoder: { options throws(FormatError) in try CSVDecoder(options) },
    makeEncoder: { options in
      if let prologue = options.prologue {
        SpliceEncoder(
          prologue: prologue, precision: options.precision,
          decimal: options.settings[CSVSettings.decimal])
      } else {
        CSVRowEncoder(options)
      }
    })
}

/// Writes only the features as CSV: a header line, then one line for each record. A missing value is empty.
struct CSVRowEncoder: RecordEncoder {
  private let header: [UInt8]
  private let delimiter: UInt8
  private let decimal: UInt8
  private let precision: Precision

  init(_ options: EncoderOptions) {
    let delimiter = options.settings[CSVSettings.delimiter]
    self.delimiter = delimiter
    decimal = options.settings[CSVSettings.decimal]
    precision = options.precision
    let names = options.schema.names.map { Self.quoted($0, delimiter: delimiter) }
    header = Array(names.joined(separator: [delimiter])) + [0x0A]
  }

  func encodePrologue(into output: ByteBuffer) {
    output.append(header)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let columns = block.columns
    for record in block.selectedRecords {
      for feature in 0..<columns.featureCount {
        if feature > 0 { output.append(delimiter) }
        let value = columns[record: record, feature: feature]
        if value.isNaN { continue }
        switch precision {
        case .float32: Float(value).appendText(to: output, decimal: decimal)
        case .float64: value.appendText(to: output, decimal: decimal)
        }
      }
      output.append(0x0A)
    }
  }

  private static func quoted(_ name: String, delimiter: UInt8) -> [UInt8] {
    let bytes = Array(name.utf8)
    guard bytes.contains(where: { [delimiter, 0x22, 0x0A, 0x0D].contains($0) }) else {
      return bytes
    }
    return [0x22] + bytes.flatMap { $0 == 0x22 ? [0x22, 0x22] : [$0] } + [0x22]
  }
}
