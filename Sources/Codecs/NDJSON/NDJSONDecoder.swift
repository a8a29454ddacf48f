internal import Configuration
internal import Records

/// Reads the features of newline-delimited JSON: an object in each line.
///
/// A line ends with a newline, or with the stream. A carriage return before the newline is white space of JSON. A
/// line of white space is no record; its bytes belong to the next record, or to the end.
///
/// A feature is a number at a path, as `JSONPath` spells it, or a value of an array of numbers: a vector. A vector
/// keeps the length that it has first in the stream, or that the user gives. A record with another length is a bad
/// record. A null or empty vector is missing.
///
/// Invariants:
/// - `reader` is set by `open` and has one feature for each name of the schema, in that order. The role columns follow
///   the features.
/// - A record is appended to a block as a whole or not at all.
struct NDJSONDecoder: RecordDecoder {
  let options: DecoderOptions
  private var search: JSONFeatureSearch
  private var lines: LineCutter
  /// The offset of the line that `open` looks at next.
  private var openingOffset = 0
  private var reader: JSONRecordReader?
  private var rows: PlainRows?
  private var soundRecords = 0
  private let stamp: JSONStamp?

  /// - Throws: an error for a feature name that is not a path, and for limits that are out of range for JSON.
  init(_ options: DecoderOptions) throws(FormatError) {
    var options = options
    options.limits.allowsNotFinite = options.onInvalid == .missing
    options.limits.readsQuotedNumbers = options.settings[NDJSONSettings.quotedNumbers]
    self.options = options
    lines = LineCutter(limit: options.limits.recordBytes)
    guard (1...1024).contains(options.limits.depth) else {
      throw FormatError(RecordSettings.depth, "expected 1 to 1024 levels of JSON")
    }
    // Spans are 32 bits wide, and absent members that are inserted need room too.
    guard (1...(1 << 30)).contains(options.limits.recordBytes) else {
      throw FormatError(RecordSettings.recordBytes, "expected 1B to 1GiB for a line of JSON")
    }
    search = try JSONFeatureSearch(options)
    stamp = JSONStamp(of: options)
  }

  // MARK: Opening

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if window.bytes.count < byteOrderMark.count, !window.isLast { return nil }
    let prologue = window.bytes.starts(with: byteOrderMark) ? byteOrderMark : []
    let features: [JSONFeature]
    var choice: FeatureChoice?
    if let known = options.opening {
      features = try Self.known(known)
    } else {
      openingOffset = max(openingOffset, prologue.count)
      guard try look(into: window, after: prologue.count) else { return nil }
      (features, choice) = try search.features()
    }
    try options.requireOwnColumns(features.map(\.name))
    reader = try JSONRecordReader(
      features: features + options.roleFeatures(), limits: options.limits)
    // Lines that are read at once have features alone.
    rows =
      options.roles.isEmpty
      ? PlainRows(featureCount: features.count, keepsText: options.keepsText) : nil
    lines = LineCutter(limit: options.limits.recordBytes)
    var opening: StreamOpening
    do {
      opening = StreamOpening(
        schema: try FeatureSchema(features.map(\.name)),
        columns: JSONFeature.columns(of: features), prologue: prologue, choice: choice)
    } catch {
      throw RecordFault(error)
    }
    opening.warning = search.warning
    guard options.keepsFields else { return opening }
    if let known = options.opening {
      opening.outputColumns = known.outputColumns
    } else {
      opening.outputColumns = try outputColumns(features, window, after: prologue.count)
      if !window.isLast || openingOffset < window.bytes.count {
        opening.warning =
          "the columns of the output are the members of the first \(search.records) records; members that come "
          + "first in a later record are left out"
      }
    }
    return opening
  }

  /// The columns of an output that has all of them, by the records that were looked at.
  private func outputColumns(
    _ features: [JSONFeature], _ window: InputWindow, after start: Int
  ) throws(RecordFault) -> [String] {
    var columns = JSONColumnSearch(features, limit: options.limits.fields)
    for line in window.bytes[start..<openingOffset].split(separator: 0x0A) {
      let isSound =
        hasText(line)
        && (try? JSONRecordReader.leaves(
          of: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: line)), limits: options.limits))
          != nil
      if isSound { try columns.take(Array(line)[...]) }
    }
    return columns.columns()
  }

  /// Looks at records until the features are found, or until the search reaches its bounds.
  ///
  /// - Returns: false if it needs more bytes.
  private mutating func look(
    into window: InputWindow, after prologueBytes: Int
  ) throws(RecordFault) -> Bool {
    while true {
      // Lines without end that are no records are refused like a line without end.
      guard search.records > 0 || openingOffset <= options.limits.recordBytes else {
        throw tooLong.at(prologueBytes)
      }
      let line = lines.line(at: openingOffset, of: window)
      let end = if case .whole(let range) = line { range.upperBound } else { window.bytes.count }
      let isAll = if case .incomplete = line { window.isEnough } else { false }
      if search.isOver(before: end - prologueBytes, isEnough: isAll) { return true }
      switch line {
      case .incomplete: return false
      case .tooLong:
        guard search.records == 0 else { return true }
        throw tooLong.at(openingOffset)
      case .none: return true
      case .whole(let range):
        let line = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window.bytes)[range])
        if !Self.isBlank(line) {
          try search.take(line)
        }
        openingOffset = range.upperBound
      }
    }
  }

  private static func known(_ opening: StreamOpening) throws(RecordFault) -> [JSONFeature] {
    do {
      return try JSONFeature.known(opening)
    } catch {
      throw RecordFault(expected: "a stream of JSON", found: error.message)
    }
  }

  // MARK: Decoding

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int,
    progress: inout DecodeProgress
  ) -> DecodeOutcome {
    guard options.keepsText else {
      var none = SplicedText()
      return decode(window, into: &block.columns, &none, limit: limit, progress: &progress)
    }
    var text = block.takePayload(SplicedText.self)
    defer { block.payload = text }
    return decode(window, into: &block.columns, &text, limit: limit, progress: &progress)
  }

  private mutating func decode(
    _ window: InputWindow, into columns: inout FeatureColumns, _ text: inout SplicedText,
    limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    // Before this offset is a record with half a surrogate pair, so records are taken one by one.
    var plainFrom = 0
    while columns.count < limit {
      switch lines.line(at: progress.consumed, of: window) {
      case .incomplete, .none: return .needsInput
      case .tooLong: return .failed(tooLong)
      case .whole(let range):
        let line = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window.bytes)[range])
        guard line.count <= Int(UInt32.max) / 2 - text.bytes.count else {
          return .failed(
            RecordFault(expected: "at most 2 GiB of text in a mini-batch", found: "more"))
        }
        let rest = UnsafeBufferPointer(rebasing: window.bytes[range.lowerBound...])
        let before = (columns: columns.count, bytes: text.bytes.count, spans: text.spans.count)
        let most = range.lowerBound < plainFrom ? columns.count : limit
        let alike = takeAlike(rest, into: &columns, &text, most)
        if alike.records > 0, !hasText(rest[..<alike.bytes]) {
          columns.count = before.columns
          text.bytes.removeLast(text.bytes.count - before.bytes)
          text.spans.removeLast(text.spans.count - before.spans)
          soundRecords -= alike.records
          plainFrom = range.lowerBound + alike.bytes
        } else if alike.records > 0 {
          progress.consumed += alike.bytes
          progress.records += alike.records
          continue
        }
        progress.consumed = range.upperBound
        if Self.isBlank(line) {
          if options.keepsText { text.bytes.append(contentsOf: line) }
          continue
        }
        progress.records += 1
        do throws(RecordFault) {
          try checkText(window.bytes[range])
          try take(line, into: &columns, &text)
        } catch {
          return .rejected(error, byteCount: range.count)
        }
      }
    }
    return .limitReached
  }

  /// Reads records that have the form of an earlier one, if the next one does.
  private mutating func takeAlike(
    _ bytes: UnsafeBufferPointer<UInt8>, into columns: inout FeatureColumns,
    _ text: inout SplicedText, _ limit: Int
  ) -> (records: Int, bytes: Int) {
    guard let reader, let rows else { return (0, 0) }
    let taken = reader.readAlike(
      bytes, into: &columns, &text, limit: limit, rows, allowsNull: options.onMissing != .reject)
    soundRecords += taken.records
    return taken
  }

  /// Appends one record.
  private mutating func take(
    _ line: UnsafeRawBufferPointer, into columns: inout FeatureColumns,
    _ text: inout SplicedText
  ) throws(RecordFault) {
    guard let reader else {
      throw RecordFault(expected: "a stream that was opened", found: "none")
    }
    // Lines that are like this one have the same members.
    try stamp?.check(Array(line)[...])
    let completes = options.keepsText && options.onMissing == .impute
    let record = try reader.read(line, completes: completes)
    soundRecords += 1
    let (row, capacity) = (columns.count, columns.capacity)
    let featureCount = columns.featureCount
    let isComplete = record.foundCount == featureCount + options.roles.count
    if !isComplete { try checkAbsent(record, of: reader) }
    let textStart = UInt32(text.bytes.count)
    let spanCount = text.spans.count
    if !options.roles.isEmpty {
      columns.setRoles(try options.roles(of: record, after: featureCount), of: row)
    }
    do {
      try columns.withFloat64Columns { values throws(RecordFault) in
        if !isComplete {
          for feature in 0..<featureCount { values[feature * capacity + row] = .nan }
        }
        for value in record where value.feature < featureCount {
          if value.kind != .number { try check(value, in: record, of: reader) }
          if value.kind == .misplaced { continue }
          let cell = value.feature * capacity + row
          values[cell] = value.kind == .number ? value.value : .nan
          if options.keepsText {
            text.spans.append(
              ValueSpan(
                start: textStart + value.start, end: textStart + value.end,
                cell: UInt32(truncatingIfNeeded: cell)))
          }
        }
      }
    } catch {
      text.spans.removeLast(text.spans.count - spanCount)
      throw error
    }
    if options.keepsText { text.bytes.append(contentsOf: record.text) }
    columns.count += 1
  }

  func finish() throws(RecordFault) {
    guard let reader, soundRecords > 0 else { return }
    for (index, feature) in reader.features.dropLast(options.roles.count).enumerated()
    where !reader.hasSeen(index) {
      throw RecordFault(
        expected: "feature '\(feature.name)' in at least one record", found: "it in none")
    }
  }

  private var tooLong: RecordFault {
    RecordFault(
      expected: "lines of at most \(options.limits.recordBytes) bytes", found: "a longer one")
  }

  private static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
    line.allSatisfy(isSpace)
  }

  static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
  }
}
