internal import Records

// Invariant: the values, offsets and views of all rows were checked when the array was made, so that `spell` stays
// within the buffers.

/// The values of a column that is no feature, in one record batch.
struct ArrowScalarArray: Sendable {
  let name: String
  let type: ArrowType
  let count: Int
  /// Nil if no value is null.
  let validity: [UInt8]?
  /// The bitmaps of the struct fields around it that contain a null.
  let parents: [[UInt8]]
  /// The values; the offsets of texts and lists; views.
  let values: [UInt8]
  /// The bytes of texts; those of views are several.
  let data: [[UInt8]]
  /// The dictionary that the values are indices of; nil if they are no indices.
  private let words: ArrowWordList?
  /// The elements of lists, one after another; none if the values are no lists.
  let elements: [ArrowScalarArray]
  /// The rows whose values have no text: a time beyond its day, or text that is not UTF-8. They ascend.
  private var rowsWithoutText: [Int] = []

  /// - Throws: if the buffers do not have the texts of all rows, the elements not all lists, or the dictionary not all
  ///   indices.
  init(
    _ column: ArrowScalarColumn, records: Int, validity: [UInt8]?, parents: [[UInt8]],
    values: [UInt8], data: [[UInt8]], words: ArrowWordList? = nil,
    elements: [ArrowScalarArray] = []
  ) throws(RecordFault) {
    (name, count) = (column.name, records)
    type = column.storedType
    self.validity = validity
    self.parents = parents
    self.values = values
    self.data = data
    self.words = words
    self.elements = elements
    try checkLists()
    guard column.dictionary == nil else {
      try checkIndices(column, records: records)
      return
    }
    for row in 0..<records where !isNull(row) {
      guard let range = text(row) else { continue }
      guard range.buffer < data.count, 0 <= range.start, range.start <= range.end,
        range.end <= data[range.buffer].count
      else {
        throw RecordFault(
          expected: "texts of column \(quoted(column.name)) within their Arrow buffer",
          found: "others")
      }
    }
    switch type {
    case .time, .utf8, .largeUtf8, .utf8View:
      rowsWithoutText = (0..<records).filter { !isNull($0) && !hasText($0) }
    default: break
    }
  }

  /// Also the list of a null must follow the one before it, or lists would share elements, and a small batch would have
  /// many.
  private func checkLists() throws(RecordFault) {
    guard let elements = elements.first else { return }
    var end = 0
    for row in 0..<count {
      let list = list(row)
      guard 0 <= list.start, end <= list.start, list.start <= list.end, list.end <= elements.count
      else {
        throw RecordFault(
          expected: "lists of column \(quoted(name)) one after another in their "
            + "\(elements.count) elements", found: "elements \(list.start) to \(list.end)")
      }
      end = list.end
    }
  }

  private mutating func checkIndices(_ column: ArrowScalarColumn, records: Int) throws(RecordFault)
  {
    for row in 0..<records where !isNull(row) {
      guard let words else {
        throw RecordFault(
          expected: "the dictionary of column \(quoted(column.name)) before its record batch",
          found: "none")
      }
      guard let index = index(row), index < words.count else {
        let output = ByteBuffer()
        appendInteger(row, to: output)
        throw RecordFault(
          expected: "an index below \(words.count) in the dictionary of column "
            + quoted(column.name), found: String(decoding: output.readable, as: UTF8.self))
      }
      if words.fault(of: index) != nil { rowsWithoutText.append(row) }
    }
  }

  /// Whether a value that is not null has a text.
  private func hasText(_ row: Int) -> Bool {
    switch type {
    case .time(let unit, let bits): 0..<unit.perDay ~= integer(row, bits)
    case .utf8, .largeUtf8, .utf8View:
      textBytes(row).allSatisfy { $0 < 0x80 }
        || String(validating: textBytes(row), as: UTF8.self) != nil
    default: true
    }
  }

  var hasAllTexts: Bool { rowsWithoutText.isEmpty }

  /// The first row from one on whose value has no text; nil if all have one.
  func rowWithoutText(from row: Int) -> Int? {
    var (low, high) = (0, rowsWithoutText.count)
    while low < high {
      let middle = (low + high) / 2
      if rowsWithoutText[middle] < row { low = middle + 1 } else { high = middle }
    }
    return low < rowsWithoutText.count ? rowsWithoutText[low] : nil
  }

  /// The fault of a value without a text; nil if it has one.
  func fault(of row: Int) -> RecordFault? {
    guard rowWithoutText(from: row) == row else { return nil }
    if let words { return index(row).flatMap { words.fault(of: $0) } }
    guard case .time(let unit, let bits) = type else {
      return RecordFault(
        expected: "text of UTF-8 in column \(quoted(name))",
        found: "other bytes, \(RecordFault.quote(textBytes(row)))")
    }
    return RecordFault(
      expected: "a time of 0 to 24 h, less than \(unit.perDay), in column \(quoted(name))",
      found: "\(integer(row, bits))")
  }

  /// The bytes of the values that a number of rows needs.
  static func valueBytes(_ type: ArrowType, records: Int) -> Int {
    switch type {
    case .bool: (records + 7) / 8
    case .integer(let bits, _), .float(let bits), .decimal(_, _, let bits), .time(_, let bits):
      records * bits / 8
    case .date(let isDays): records * (isDays ? 4 : 8)
    case .utf8, .list: records == 0 ? 0 : 4 * (records + 1)
    case .largeUtf8, .largeList: records == 0 ? 0 : 8 * (records + 1)
    case .fixedList: 0
    case .utf8View: records * 16
    default: records * 8
    }
  }

  var byteCount: Int {
    values.count + (validity?.count ?? 0) + data.reduce(0) { $0 + $1.count }
      + elements.reduce(0) { $0 + $1.byteCount }
  }

  /// Appends the text of a row. Returns false if the row has no value.
  func spell(_ row: Int, to output: ByteBuffer) -> Bool {
    guard !isNull(row) else { return false }
    if let words { return words.spell(index(row) ?? 0, to: output) }
    switch type {
    case .bool: output.append(Array((bit(row, of: values) ? "true" : "false").utf8))
    case .integer: appendInteger(row, to: output)
    case .float(let bits): return spellFloat(row, bits, to: output)
    case .decimal(_, let scale, let bits):
      let bytes = values[row * bits / 8..<(row + 1) * bits / 8]
      output.append(DecimalText.text(littleEndian: bytes, scale: scale))
    case .date(let isDays):
      let days = isDays ? integer(row, 32) : integer(row, 64).flooredDivision(by: 86_400_000).0
      output.appendDate(days: days)
    case .time(let unit, let bits): output.appendTime(integer(row, bits), unit)
    case .timestamp(let unit, let zone): output.appendTimestamp(integer(row, 64), unit, zone: zone)
    default: output.append(textBytes(row))
    }
    return true
  }

  private func appendInteger(_ row: Int, to output: ByteBuffer) {
    guard case .integer(let bits, let isSigned) = type else { return }
    if isSigned {
      output.appendDigits(of: integer(row, bits))
    } else {
      output.appendDigits(of: UInt64(truncatingIfNeeded: integer(row, bits)) & mask(bits))
    }
  }

  /// The index in the dictionary; nil if it is negative, or greater than any dictionary.
  private func index(_ row: Int) -> Int? {
    guard case .integer(let bits, let isSigned) = type else { return nil }
    let number = integer(row, bits)
    if isSigned { return number < 0 ? nil : number }
    return Int(exactly: UInt64(truncatingIfNeeded: number) & mask(bits))
  }

  private func spellFloat(_ row: Int, _ bits: Int, to output: ByteBuffer) -> Bool {
    let pattern = UInt64(truncatingIfNeeded: integer(row, bits))
    if bits == 64 {
      let value = Double(bitPattern: pattern)
      guard !value.isNaN else { return false }
      value.appendText(to: output)
    } else {
      let value =
        bits == 32
        ? Float(bitPattern: UInt32(truncatingIfNeeded: pattern))
        : Float(Float16(bitPattern: UInt16(truncatingIfNeeded: pattern)))
      guard !value.isNaN else { return false }
      value.appendText(to: output)
    }
    return true
  }

  private func textBytes(_ row: Int) -> ArraySlice<UInt8> {
    if let text = text(row) { return data[text.buffer][text.start..<text.end] }
    let start = row * 16 + 4
    return values[start..<start + max(0, integer(row * 4, 32))]
  }

  /// The buffer and the range of a row's text; nil if the type has none, or if the view has it itself.
  private func text(_ row: Int) -> (buffer: Int, start: Int, end: Int)? {
    switch type {
    case .utf8: return (0, integer(row, 32), integer(row + 1, 32))
    case .largeUtf8: return (0, integer(row, 64), integer(row + 1, 64))
    case .utf8View:
      let count = integer(row * 4, 32)
      // A negative length is refused, as it has no buffer.
      guard count > 12 || count < 0 else { return nil }
      let (buffer, start) = (integer(row * 4 + 2, 32), integer(row * 4 + 3, 32))
      return count < 0 || buffer < 0 ? (data.count, 0, 0) : (buffer, start, start + count)
    default: return nil
    }
  }

  // MARK: Lists

  /// The numbers of a list, or of lists in it; nil for a null. A number that is null is NaN.
  func numbers(_ row: Int) -> NumberMembers.Value? {
    guard !isNull(row), let elements = elements.first else { return nil }
    let list = list(row)
    guard !elements.elements.isEmpty else {
      return .numbers((list.start..<list.end).map(elements.number))
    }
    var rows: [[Double]] = []
    for element in list.start..<list.end {
      guard case .numbers(let numbers)? = elements.numbers(element) else { return nil }
      rows.append(numbers)
    }
    return .rows(rows)
  }

  /// The range of a row's list in the elements.
  private func list(_ row: Int) -> (start: Int, end: Int) {
    switch type {
    case .list: (integer(row, 32), integer(row + 1, 32))
    case .fixedList(let each): (row * each, (row + 1) * each)
    default: (integer(row, 64), integer(row + 1, 64))
    }
  }

  /// A number of the types that lists have.
  private func number(_ row: Int) -> Double {
    guard !isNull(row) else { return .nan }
    if type == .float(bits: 32) {
      return Double(Float(bitPattern: UInt32(truncatingIfNeeded: integer(row, 32))))
    }
    return Double(bitPattern: UInt64(bitPattern: Int64(integer(row, 64))))
  }

  // MARK: Values

  private func isNull(_ row: Int) -> Bool {
    if let validity, !bit(row, of: validity) { return true }
    return parents.contains { !bit(row, of: $0) }
  }

  private func bit(_ row: Int, of bitmap: [UInt8]) -> Bool {
    bitmap[row / 8] >> UInt8(row % 8) & 1 != 0
  }

  private func mask(_ bits: Int) -> UInt64 { bits == 64 ? .max : 1 << UInt64(bits) - 1 }

  /// The signed number of so many bits, at most 64, at an index.
  private func integer(_ index: Int, _ bits: Int) -> Int {
    let count = bits / 8
    var word: UInt64 = 0
    for byte in (0..<count).reversed() { word = word << 8 | UInt64(values[index * count + byte]) }
    let shift = UInt64(64 - bits)
    return Int(Int64(bitPattern: word << shift) >> Int64(shift))
  }
}
