internal import Configuration
internal import Records

/// The start of a split: its header, and the columns that hold numbers.
extension CSVDecoder {
  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    let bytes = window.bytes
    if let known = options.opening, options.header == .passed { header = (known.columns, 0) }
    if header == nil {
      if bytes.count < 3, !window.isLast { return nil }
      let markEnd = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
      var preamble = self.preamble ?? CSVPreamble(options, from: markEnd)
      defer { self.preamble = preamble }
      guard try preamble.pass(window, from: markEnd) else { return nil }
      let start = preamble.end
      guard hasHeader else {
        header = ([], start)
        firstRecord = start
        return try open(window)
      }
      guard start < bytes.count else {
        guard window.isLast else { return nil }
        throw RecordFault(expected: "a header line", found: "the end of the stream")
      }
      guard let record = try peekAtStart(window, at: start) else { return nil }
      try checkText(bytes[start..<record.contentEnd], record)
      let fields = try values.fields.fields(of: record, at: start, in: bytes)
      var names = fields.map { String(name: $0) }
      var end = record.end
      if let known = options.opening {
        let isRecord = options.header == .optional && isRecord(fields, names, of: known)
        if isRecord { end = markEnd }
        names = isRecord ? known.columns : CSVColumns.spelled(names, as: known.columns)
      }
      header = (names, end)
      firstRecord = end
    }
    guard var columns = header?.names else { return nil }
    if options.features.isEmpty || !hasHeader && options.header != .passed {
      guard let count = try countFirstFields(window, columnCount: columns.count) else {
        guard window.isLast else { return nil }
        if hasHeader, options.features.isEmpty, options.opening == nil {
          throw noRecord(window, columnCount: columns.count)
        }
        return try opening(options.opening?.columns ?? columns, chosen: [], window)
      }
      if !hasHeader { columns = FeatureSchema.unnamed(count: count) }
    }
    if let known = options.opening, !Set(columns.asNames).isSuperset(of: known.schema.names.asNames)
    {
      return StreamOpening(
        schema: known.schema, columns: columns,
        prologue: Array(window.bytes[..<(header?.end ?? 0)]))
    }
    guard options.features.isEmpty else {
      return try opening(columns, chosen: try selected(from: columns, window), window)
    }
    var look =
      lookAhead.take()
      ?? CSVLookAhead(values, comment: comment, columnCount: columns.count, from: firstRecord)
    let isOver = look.look(at: window)
    lookAhead = look
    guard isOver else { return nil }
    lookAhead = nil
    let (chosen, choice) = try choose(from: columns, look, window)
    var found = try opening(columns, chosen: chosen, window)
    found.choice = choice
    return found
  }

  /// Whether a first line that may be a header is a record: it holds no name of a column, and a number, or a missing
  /// value, for some feature. One of another length is a bad record.
  private func isRecord(
    _ fields: [[UInt8]], _ names: [String], of known: StreamOpening
  ) -> Bool {
    guard !CSVColumns.isHeader(names, of: known.columns) else { return false }
    guard fields.count == known.columns.count else { return true }
    let features = Set(known.schema.names.map { Name($0) })
    return zip(known.columns, fields).contains { column, field in
      features.contains(Name(column)) && (values.isNumber(field) || values.isMissing(field))
    }
  }

  /// The features by their names.
  private func selected(
    from columns: [String], _ window: InputWindow
  ) throws(RecordFault) -> [Int] {
    do {
      return try options.select(from: columns)
    } catch {
      throw RecordFault(error).advising(advice(window))
    }
  }

  /// Why no record tells the columns of numbers: there is none, or none that fits the header.
  private func noRecord(_ window: InputWindow, columnCount: Int) -> RecordFault {
    let record = firstLines(window).record
    guard !record.isEmpty else {
      var fault = RecordFault(
        expected: "a record after the header, which tells the columns of numbers",
        found: "none; name the features (--features) to read a header alone")
      fault.lacksRecords = true
      return fault
    }
    let count = record.count { $0 == values.fields.delimiter } + 1
    let fault = RecordFault(
      expected:
        "a record of \(columnCount) \(columnCount == 1 ? "field" : "fields"), as the header has",
      found: count == columnCount ? "none that can be read" : "the first with \(count)")
    return fault.advising(advice(window))
  }

  /// A warning about a first line that may be a record: all its fields are numbers, and the user names none of them.
  private func headerWarning(_ columns: [String]) -> String? {
    guard hasHeader, options.opening == nil, options.features.allSatisfy(\.isGlob),
      columns.allSatisfy({ values.isNumber(Array($0.utf8)) })
    else { return nil }
    return
      "the first line became the names of the columns (\(listed(columns))), and holds only numbers; "
      + "--no-header reads it as a record"
  }

  private func advice(_ window: InputWindow) -> String? {
    let (header, record) = firstLines(window)
    return hasHeader ? CSVHints(options.settings).advice(header: header, record: record) : nil
  }

  /// The start of the header, and of the line after it that is not blank.
  private func firstLines(
    _ window: InputWindow
  ) -> (header: [UInt8], record: [UInt8]) {
    let most = 4096
    let start = min(preamble?.end ?? 0, window.bytes.count)
    let end = min(max(start, header?.end ?? 0), window.bytes.count)
    let isEnd: (UInt8) -> Bool = { $0 == 0x0A || $0 == 0x0D }
    let record = window.bytes[end...].prefix(most).drop(while: isEnd).prefix { !isEnd($0) }
    return (Array(window.bytes[start..<end].prefix(most).prefix { !isEnd($0) }), Array(record))
  }

  /// The features by the values of the first records.
  private func choose(
    from columns: [String], _ look: CSVLookAhead, _ window: InputWindow
  ) throws(RecordFault) -> ([Int], FeatureChoice) {
    let excluded: Set<Int>
    do {
      excluded = try options.exclude.matching(columns)
    } catch {
      throw RecordFault(error)
    }
    let candidates = columns.indices.map { column in
      let profile = look.profiles[column]
      return FeatureChooser.Candidate(
        name: columns[column],
        unfitness: excluded.contains(column) || options.isRole(columns[column])
          ? .excluded : profile.unfitness, order: profile.order)
    }
    let chooser = FeatureChooser(candidates)
    guard !chooser.chosen.isEmpty else {
      if excluded.count == columns.count { throw RecordFault(.noneLeft) }
      throw RecordFault(
        expected: "numbers in some column of the first records",
        found: excluded.isEmpty ? "none" : "none in a column that is not excluded"
      ).advising(advice(window))
    }
    return (chooser.chosen, FeatureChoice(records: look.records, leftOut: chooser.leftOut))
  }

  /// The number of fields of the first record; nil if its end is not in the window or there is none.
  private mutating func countFirstFields(
    _ window: InputWindow, columnCount: Int
  ) throws(RecordFault) -> Int? {
    // Found before. To look again would disturb the scan of a later record.
    if let lookAhead { return lookAhead.profiles.count }
    while let record = try firstWhole(window) {
      if isComment(window.bytes, at: firstRecord) {
        firstRecord = record.end
        guard firstRecord <= options.limits.recordBytes else { throw tooLong.at(header?.end ?? 0) }
        continue
      }
      let isBlank = record.contentEnd == firstRecord && columnCount != 1
      // Without a header, the first line that is not blank tells the number of columns. With a header, a record of
      // another length, or one that cannot be read, does not tell which columns contain numbers; `decode` refuses it
      // later.
      if !isBlank, !hasHeader {
        try checkText(window.bytes[firstRecord..<record.contentEnd], record)
        return try values.fields.fields(of: record, at: firstRecord, in: window.bytes).count
      }
      if !isBlank,
        let fields = try? values.fields.fields(of: record, at: firstRecord, in: window.bytes),
        fields.count == columnCount
      {
        return fields.count
      }
      firstRecord = record.end
      // An endless run of such lines is refused like a record without an end.
      guard firstRecord <= options.limits.recordBytes else { throw tooLong.at(header?.end ?? 0) }
    }
    return nil
  }

  /// The record at `firstRecord`; nil if its end is not in the window, or if no quote closes it. `decode` refuses it
  /// then, if a header tells the columns.
  private mutating func firstWhole(
    _ window: InputWindow
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    do {
      return try peekAtStart(window, at: firstRecord)
    } catch {
      guard hasHeader, window.isLast, options.opening != nil else { throw error }
      return nil
    }
  }

  private mutating func opening(
    _ columns: [String], chosen: [Int], _ window: InputWindow
  ) throws(RecordFault) -> StreamOpening {
    names = chosen.map { columns[$0] }
    roles = try roles(of: columns)
    do {
      features = Array(repeating: -1, count: columns.count)
      for (feature, column) in chosen.enumerated() { features[column] = feature }
      if values.areNumbersPlain {
        rowReader = CSVRowReader(features: features, missingTokens: values.missingTokens, options)
      }
      let prologue = window.bytes[..<(header?.end ?? 0)]
      var opening = StreamOpening(
        schema: try FeatureSchema(names), columns: columns, prologue: Array(prologue))
      opening.warning = headerWarning(columns)
      return opening
    } catch {
      throw RecordFault(error)
    }
  }

  /// The role of each column, or -1; empty without roles.
  private func roles(of columns: [String]) throws(RecordFault) -> [Int] {
    guard !options.roles.isEmpty, !columns.isEmpty else { return [] }
    var roles = Array(repeating: -1, count: columns.count)
    for (role, column) in try options.rolePlaces(in: columns, features: names).enumerated() {
      roles[column] = role
    }
    return roles
  }

  /// Checks that the first line is text and ends as CSV does: bytes of another kind often make one long line.
  private func checkText(
    _ line: some Collection<UInt8>, _ record: CSVRecordScanner.Record
  ) throws(RecordFault) {
    if line.contains(0) {
      throw RecordFault(expected: "lines of text", found: "a byte of value 0: this is no CSV")
    }
    if !record.hasQuotes, line.contains(0x0D) {
      throw RecordFault(
        expected: "lines that end in a line feed",
        found: "lines that end in a carriage return alone; `tr '\\r' '\\n'` corrects them")
    }
  }

  /// Finds the record at `start`, like `peek`. A fault tells where the record begins.
  private mutating func peekAtStart(
    _ window: InputWindow, at start: Int
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    do {
      return try peek(window, at: start)
    } catch {
      throw error.at(start)
    }
  }
}
