internal import Configuration
internal import Records

// Invariant: `order` has at least one column, and none that `text` lacks.

/// Edits the records that another encoder writes as CSV: chooses their columns, and adds those of the stamp.
///
/// The text of a field stays as it is, and so do line ends, comments and blank lines.
struct CSVEditor: RecordEncoder {
  private let encoder: any RecordEncoder
  private let prologue: [UInt8]
  private let text: CSVText
  /// The columns of the output; nil for all.
  private let order: [Int]?
  private let isStamped: Bool

  /// - Parameters:
  ///   - encoder: writes the records with all columns.
  ///   - names: those of all columns.
  /// - Returns: nil if the settings ask for no edit.
  private init?(
    _ encoder: any RecordEncoder, of names: [String], _ options: EncoderOptions
  ) throws(FormatError) {
    let stamp = options.settings[RecordSettings.stamp]
    let choice = ColumnChoice(options.settings)
    guard stamp != nil || choice != nil else { return nil }
    let order = try choice.map { (choice) throws(FormatError) in try choice.order(of: names) }
    self.encoder = encoder
    self.order = order
    isStamped = stamp != nil
    let delimiter = options.settings[CSVSettings.delimiter]
    text = CSVText(
      delimiter: delimiter,
      // Only text of CSV has comments.
      comment: options.prologue == nil ? nil : options.settings[CSVSettings.comment],
      columnCount: names.count)
    let stamped = stamp.map { ["\($0).state_version", "\($0).parameters_version"] } ?? []
    try options.requireNew(stamped, besides: order?.map { names[$0] } ?? names)
    let written = ByteBuffer()
    encoder.encodePrologue(into: written)
    guard let (start, header) = text.header(of: written, options) else {
      prologue = Array(written.readable)
      return
    }
    let edited = ByteBuffer()
    edited.append(0..<start, of: written)
    var places: [Range<Int>] = []
    text.append(
      header, at: start, of: written, order, &places,
      adding: stamped.flatMap {
        [delimiter] + CSVRowEncoder.quoted(Array($0.utf8)[...], delimiter: delimiter)
      }, to: edited)
    prologue = Array(edited.readable)
  }

  /// The encoder with the edits that the settings ask for; the same if they ask for none.
  static func edited(
    _ encoder: any RecordEncoder, of names: [String], _ options: EncoderOptions
  ) throws(FormatError) -> any RecordEncoder {
    if let editor = try CSVEditor(encoder, of: names, options) { return editor }
    return encoder
  }

  func encodePrologue(into output: ByteBuffer) {
    output.append(prologue)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let written = ByteBuffer()
    encoder.encode(block, into: written)
    let delimiter = text.fields.delimiter
    var versions = VersionTexts(block) { [isStamped] versions in
      guard isStamped else { return [] }
      let texts = versions.map { ["\($0.state)", "\($0.parameters)"] } ?? ["", ""]
      return texts.flatMap { [delimiter] + $0.utf8 }
    }
    var places: [Range<Int>] = []
    text.forEachPart(of: written.readable) { part, record in
      guard let record else { return output.append(part, of: written) }
      text.append(
        record, at: part.lowerBound, of: written, order, &places, adding: versions.next(),
        to: output)
    }
  }
}

extension CSVText {
  /// The header in a prologue; nil if there is none.
  fileprivate func header(
    of prologue: ByteBuffer, _ options: EncoderOptions
  ) -> (start: Int, record: CSVRecordScanner.Record)? {
    var start = 0
    if options.prologue != nil {
      guard options.settings[CSVSettings.header] else { return nil }
      let markEnd = prologue.readable.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
      var preamble = CSVPreamble(DecoderOptions(options.settings), from: markEnd)
      // The decoder has passed the same lines.
      _ = try? preamble.pass(InputWindow(bytes: prologue.readable, isLast: true), from: markEnd)
      start = preamble.end
    }
    var scanner = CSVRecordScanner(delimiter: fields.delimiter)
    guard case .record(let header) = scanner.next(in: prologue.readable, from: start, isLast: true)
    else { return nil }
    return (start, header)
  }

  /// Appends a record with some of its fields, and with more after them.
  ///
  /// - Parameters:
  ///   - order: the columns of the fields; nil for all.
  ///   - places: memory for the places of the fields.
  ///   - more: fields with a delimiter before each.
  fileprivate func append(
    _ record: CSVRecordScanner.Record, at start: Int, of text: ByteBuffer, _ order: [Int]?,
    _ places: inout [Range<Int>], adding more: [UInt8], to output: ByteBuffer
  ) {
    if let order {
      find(&places, of: record, at: start, in: text.readable)
      for (index, column) in order.enumerated() {
        if index > 0 { output.append(fields.delimiter) }
        output.append(places[column], of: text)
      }
      // A blank line is no record for many readers.
      if order.count == 1, more.isEmpty, places[order[0]].isEmpty { output.append([0x22, 0x22]) }
    } else {
      output.append(start..<record.contentEnd, of: text)
    }
    output.append(more)
    output.append(record.contentEnd..<record.end, of: text)
  }
}
