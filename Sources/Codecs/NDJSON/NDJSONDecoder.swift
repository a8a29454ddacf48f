internal import Records

/// Reads the features of newline-delimited JSON: an object in each line.
///
/// Lines end with a newline (a carriage return before it is JSON's white space) or with the stream.
/// A line of white space is no record; its bytes go with the record that follows it, or last.
///
/// Features are numbers by their path, as `JSONPath` spells it, or the values of an array of
/// numbers: a vector. Vectors are those of the first record, and keep the length that they have
/// there; so a value of a vector is a feature only if it is in the first record, even when it is
/// named without a wildcard, while a number named so may come later.
///
/// Invariants:
/// - `reader` is set by `open` and has one feature for each name of the schema, in that order.
/// - A record is appended to a batch as a whole or not at all.
struct NDJSONDecoder: RecordDecoder {
  private let options: DecoderOptions
  /// The paths of the patterns without wildcards, by their text.
  private let exactPaths: [String: JSONPath]
  private var lines: LineCutter
  /// Where `open` looks for the first record; all before it is white space.
  private var openingOffset = 0
  private var reader: JSONRecordReader?
  private var rows: PlainRows?
  private var soundRecords = 0

  /// - Throws: for a feature name that is no path, and for limits that JSON cannot be read within.
  init(_ options: DecoderOptions) throws(FormatError) {
    self.options = options
    lines = LineCutter(limit: options.limits.recordBytes)
    guard (1...1024).contains(options.limits.depth) else {
      throw FormatError(RecordSettings.depth, "expected 1 to 1024 levels of JSON")
    }
    // Spans are 32 bits wide, and putting in absent members takes room too.
    guard (1...(1 << 30)).contains(options.limits.recordBytes) else {
      throw FormatError(RecordSettings.recordBytes, "expected 1B to 1GiB for a line of JSON")
    }
    var exactPaths: [String: JSONPath] = [:]
    for pattern in options.features where !pattern.isGlob {
      let path = try JSONPath(parsing: pattern.text)
      guard path.keys.count <= options.limits.depth else {
        throw FormatError(
          RecordSettings.features, "'\(pattern.text)' is deeper than JSON may nest")
      }
      exactPaths[pattern.text] = path
    }
    self.exactPaths = exactPaths
  }

  // MARK: Opening

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if window.bytes.count < byteOrderMark.count, !window.isLast { return nil }
    let prologue = window.bytes.starts(with: byteOrderMark) ? byteOrderMark : []
    openingOffset = max(openingOffset, prologue.count)
    var firstRecord: UnsafeRawBufferPointer?
    search: while firstRecord == nil {
      // White space without end is refused like a line without end.
      guard openingOffset <= options.limits.recordBytes else { throw tooLong.at(prologue.count) }
      switch lines.line(at: openingOffset, of: window) {
      case .incomplete: return nil
      case .tooLong: throw tooLong.at(openingOffset)
      case .none: break search
      case .whole(let range):
        let line = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window.bytes)[range])
        // A line that cannot be read says nothing of the features; it is refused when its turn comes.
        if Self.isBlank(line)
          || (try? JSONRecordReader.leaves(of: line, limits: options.limits)) == nil
        {
          openingOffset = range.upperBound
        } else {
          firstRecord = line
        }
      }
    }
    let features = try chooseFeatures(firstRecord)
    reader = try JSONRecordReader(features: features, limits: options.limits)
    rows = PlainRows(featureCount: features.count, keepsText: options.keepsText)
    lines = LineCutter(limit: options.limits.recordBytes)
    do {
      return StreamOpening(schema: try FeatureSchema(features.map(\.name)), prologue: prologue)
    } catch {
      throw RecordFault(error)
    }
  }

  /// The features by the patterns, from the leaves of the first record and from the patterns
  /// without wildcards, whose members may come later.
  private func chooseFeatures(
    _ firstRecord: UnsafeRawBufferPointer?
  ) throws(RecordFault) -> [JSONFeature] {
    var found: [JSONFeature] = []
    if let firstRecord {
      for leaf in try JSONRecordReader.leaves(of: firstRecord, limits: options.limits) {
        found += leaf.paths.map {
          JSONFeature(name: $0.description, path: $0, vectorLength: leaf.vectorLength)
        }
        guard found.count <= options.limits.fields else {
          throw RecordFault(
            expected: "at most \(options.limits.fields) numbers in the first record", found: "more")
        }
      }
    }
    if options.features.isEmpty {
      guard !found.isEmpty || firstRecord == nil else {
        throw RecordFault(expected: "a number in the first record", found: "none")
      }
      return found
    }
    var names = Set(found.map(\.name))
    for pattern in options.features {
      guard let path = exactPaths[pattern.text], names.insert(pattern.text).inserted else {
        continue
      }
      guard path.element == nil || firstRecord == nil else {
        throw RecordFault(
          expected: "an array of numbers with '\(pattern.text)' in the first record",
          found: "none")
      }
      found.append(JSONFeature(name: pattern.text, path: path))
    }
    // Without a record there are no leaves to choose from, and nothing to read.
    if firstRecord == nil { return found.filter { $0.path.element == nil } }
    do {
      return try FeaturePattern.select(options.features, from: found.map(\.name)).map { found[$0] }
    } catch {
      throw RecordFault(error)
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
        let alike = takeAlike(
          UnsafeBufferPointer(rebasing: window.bytes[range.lowerBound...]), into: &columns, &text,
          limit)
        if alike.records > 0 {
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
        do {
          try take(line, into: &columns, &text)
        } catch {
          return .rejected(error, byteCount: range.count)
        }
      }
    }
    return .limitReached
  }

  /// Reads the records that are spelled like an earlier one, if the next is.
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
    let completes = options.keepsText && options.onMissing == .impute
    let record = try reader.read(line, completes: completes)
    soundRecords += 1
    let (row, capacity) = (columns.count, columns.capacity)
    let featureCount = columns.featureCount
    let isComplete = record.foundCount == featureCount
    if !isComplete { try checkAbsent(record, of: reader) }
    let textStart = UInt32(text.bytes.count)
    let spanCount = text.spans.count
    do {
      try columns.withFloat64Columns { values throws(RecordFault) in
        if !isComplete {
          for feature in 0..<featureCount { values[feature * capacity + row] = .nan }
        }
        for value in record {
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

  /// Throws where the options do not allow a value that is no number.
  private func check(
    _ value: JSONFeatureValue, in record: JSONRecord, of reader: JSONRecordReader
  ) throws(RecordFault) {
    var name: String { reader.features[value.feature].name }
    var text: String { RecordFault.quote(record.text[Int(value.start)..<Int(value.end)]) }
    switch value.kind {
    case .number:
      break
    case .null where options.onMissing == .reject,
      .invalid where options.onInvalid == .reject || options.onMissing == .reject:
      throw RecordFault(expected: "a number in feature '\(name)'", found: text)
    case .misplaced where options.onInvalid == .reject:
      throw RecordFault(expected: "a place for feature '\(name)'", found: text)
    case .null, .invalid, .misplaced:
      break
    }
  }

  /// Throws where the options do not allow a feature to be absent.
  private func checkAbsent(
    _ record: JSONRecord, of reader: JSONRecordReader
  ) throws(RecordFault) {
    guard options.onMissing == .reject else { return }
    let present = Set(record.lazy.filter { $0.kind != .misplaced }.map(\.feature))
    guard let absent = reader.features.indices.first(where: { !present.contains($0) }) else {
      return
    }
    throw RecordFault(
      expected: "a number in feature '\(reader.features[absent].name)'", found: "no such member")
  }

  func finish() throws(RecordFault) {
    guard let reader, soundRecords > 0 else { return }
    for (index, feature) in reader.features.enumerated() where !reader.hasSeen(index) {
      throw RecordFault(
        expected: "feature '\(feature.name)' in at least one record", found: "it in none")
    }
  }

  private var tooLong: RecordFault {
    RecordFault(
      expected: "lines of at most \(options.limits.recordBytes) bytes", found: "a longer one")
  }

  private static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
    line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
  }
}
