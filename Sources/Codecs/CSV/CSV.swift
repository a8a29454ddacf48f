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
    fields: { opening, settings in CSVTextFields(opening, settings) }, writesScalars: true,
    outputOptions: [RecordSettings.stamp, RecordSettings.columns],
    makeDecoder: { options throws(FormatError) in try CSVDecoder(options) },
    makeEncoder: { options throws(FormatError) in
      guard let prologue = options.prologue else {
        return try CSVEditor.edited(CSVRowEncoder(options), of: options.rowColumns, options)
      }
      let encoder = SpliceEncoder(
        prologue: prologue, precision: options.precision,
        decimal: options.settings[CSVSettings.decimal])
      return try CSVEditor.edited(encoder, of: options.columns, options)
    })
}

/// Writes records of another format as CSV: a header line, then one line for each record with its features, and with
/// its other columns if they have a text. A missing value is empty, and an empty text is in quotes.
struct CSVRowEncoder: RecordEncoder {
  private let header: [UInt8]
  private let delimiter: UInt8
  private let decimal: UInt8
  private let precision: Precision
  /// The other columns; nil if there are only features.
  private let scalars: (any ScalarFields)?

  init(_ options: EncoderOptions) {
    let delimiter = options.settings[CSVSettings.delimiter]
    self.delimiter = delimiter
    decimal = options.settings[CSVSettings.decimal]
    precision = options.precision
    scalars = options.scalars
    let names = options.rowColumns.map {
      Self.quoted(Array($0.utf8)[...], delimiter: delimiter)
    }
    header = Array(names.joined(separator: [delimiter])) + [0x0A]
  }

  func encodePrologue(into output: ByteBuffer) {
    output.append(header)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    if let scalars { return encode(block, scalars, into: output) }
    let columns = block.columns
    for record in block.selectedRecords {
      for feature in 0..<columns.featureCount {
        if feature > 0 { output.append(delimiter) }
        append(columns[record: record, feature: feature], to: output)
      }
      output.append(0x0A)
    }
  }

  private func encode(
    _ block: RecordBlock, _ scalars: any ScalarFields, into output: ByteBuffer
  ) {
    let columns = scalars.columns
    let text = ByteBuffer()
    scalars.forEachRecord(of: block) { record, spell in
      for (index, column) in columns.enumerated() {
        if index > 0 { output.append(delimiter) }
        if case .feature(let feature) = column.kind {
          append(block.columns[record: record, feature: feature], to: output)
          continue
        }
        text.removeAll()
        guard spell(index, text) else { continue }
        let bytes = Array(text.readable)
        if column.kind == .text {
          output.append(
            bytes.isEmpty ? [0x22, 0x22] : Self.quoted(bytes[...], delimiter: delimiter))
        } else if decimal != UInt8(ascii: ".") {
          output.append(bytes.map { $0 == UInt8(ascii: ".") ? decimal : $0 })
        } else {
          output.append(bytes)
        }
      }
      output.append(0x0A)
    }
  }

  private func append(_ value: Double, to output: ByteBuffer) {
    if value.isNaN { return }
    switch precision {
    case .float32: Float(value).appendText(to: output, decimal: decimal)
    case .float64: value.appendText(to: output, decimal: decimal)
    }
  }

  /// The text of a field, in quotes if it needs them.
  static func quoted(_ bytes: ArraySlice<UInt8>, delimiter: UInt8) -> [UInt8] {
    guard bytes.contains(where: { [delimiter, 0x22, 0x0A, 0x0D].contains($0) }) else {
      return Array(bytes)
    }
    return [0x22] + bytes.flatMap { $0 == 0x22 ? [0x22, 0x22] : [$0] } + [0x22]
  }
}
