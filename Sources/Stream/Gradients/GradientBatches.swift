internal import Codecs
internal import Connectors
internal import Operators
internal import Records
internal import State
internal import Storage

// Invariants:
// - `found` is the record batch after the settled position of `reader`. A record batch is taken as a whole, since no
//   later run can resume within it.
// - `columns` and `block` are there once the schema was read.

/// Takes gradients out of record batches of Arrow. Each row is a step.
struct GradientBatches: GradientReader {
  /// The rows for which there is room at first.
  private static let firstRows = 64

  private var reader: SplitReader
  private var columns: GradientColumns?
  private var block: RecordBlock?
  private var found: GradientFeed.Line?
  private(set) var isBroken = false

  init(_ split: SplitID, at start: SplitStart) {
    var options = DecoderOptions()
    (options.keepsText, options.keepsFormat) = (false, false)
    // The chain refuses the step of a missing number.
    options.onInvalid = .missing
    options.features = [FeaturePattern("*")]
    options.lists = GradientColumns.sums + GradientColumns.rows
    options.limits.unitBytes = GradientFeed.mostBytes
    options.state = start.decoder
    options.byteOffset = start.byteOffset
    let format = RecordFormat.arrow
    guard let decoder = try? format.makeDecoder(options) else {
      preconditionFailure("no decoder for Arrow")
    }
    reader = SplitReader(
      split, at: start, shownName: start.name, decoder: decoder, of: format,
      header: start.header, decompression: DecompressionOptions())
  }

  var byteCount: Int { reader.window.count + reader.compressed.count }
  var settledOffset: Int { reader.settledSourceOffset }

  func cursor(in source: any Source) throws(FileError) -> SplitCursor {
    try reader.cursor(in: source)
  }

  mutating func append(_ bytes: inout ByteBuffer, endsRecord: Bool) {
    reader.append(&bytes)
    if endsRecord { reader.endRecord() }
  }

  /// The record batches that are whole stay. The beginning of another one is refused.
  mutating func end(dropsRest: Bool) { _ = reader.end(mayBeTorn: false) }

  mutating func pass() {
    found = nil
    reader.settle()
  }

  mutating func next() -> GradientFeed.Line? {
    while found == nil, !isBroken, !reader.isTorn, !reader.isDone {
      do {
        guard try reader.isOpen ? decode() : open() else {
          guard !reader.needsBytes else { return nil }
          try reader.fill()
          if reader.needsBytes { return nil }
          continue
        }
      } catch {
        isBroken = true
        found = line(.failure(UpdateBodyError("\(error); the rest of its source is passed over")))
      }
    }
    return found
  }

  private func line(
    _ content: Result<[GradientLine], UpdateBodyError>, rows: Int = 1
  ) -> GradientFeed.Line {
    GradientFeed.Line(
      number: max(1, reader.records - rows + 1),
      byteCount: reader.byteOffset - reader.settled.byteOffset, content: content)
  }

  /// Reads the schema.
  ///
  /// - Returns: false if more bytes are needed.
  private mutating func open() throws(RecordFault) -> Bool {
    guard let opening = try reader.open(isEnough: false, mayWait: false) else { return false }
    columns = try GradientColumns(opening)
    block = RecordBlock(
      columns: FeatureColumns(
        featureCount: opening.schema.count, capacity: Self.firstRows, precision: .float64))
    return true
  }

  /// Reads rows, until a record batch is whole.
  ///
  /// - Returns: false if more bytes are needed.
  private mutating func decode() throws(RecordFault) -> Bool {
    // Out of the property, so that it has one owner.
    guard var block = self.block.take(), let columns else { return false }
    defer { self.block = block }
    if block.columns.count == block.columns.capacity { block.grow(to: 2 * block.columns.capacity) }
    let (outcome, _, _) = reader.decode(
      into: &block, limit: block.columns.capacity, prologue: nil)
    switch outcome {
    case .limitReached: return true
    case .unitEnded:
      let rows = block.columns.count
      if rows > 0 { found = line(columns.gradients(in: block), rows: rows) }
      block.removeRecords()
      return true
    case .rejected(let fault, _):
      // The rest of a message. The next one begins with its own schema.
      block.removeRecords()
      found = line(.failure(UpdateBodyError("\(fault)")))
      return true
    case .failed(let fault): throw fault
    case .needsInput: return false
    }
  }
}

/// The places of gradients among the columns of an Arrow schema.
private struct GradientColumns {
  private let version: Int
  private let count, afterBatch: Int?
  private let vectors: [Vector]
  /// Whether there are rows of y and of ∂L/∂y.
  private let hasRows: Bool

  /// A column of lists.
  private struct Vector {
    let name: String
    /// The features that are the elements of a fixed-size list; nil for lists that `ArrowLists` has.
    let places: [Int]?
  }

  /// The names of the columns of lists.
  static let sums = ["weight_grad", "bias_grad"]
  static let rows = ["y", "y_grad"]

  init(_ opening: StreamOpening) throws(RecordFault) {
    let names = opening.schema.names
    let all = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
    guard let version = all["version"] else {
      throw RecordFault(expected: "a column 'version' of type Int64", found: "none")
    }
    self.version = version
    (count, afterBatch) = (all["count"], all["after_batch"])
    var known = Set([version, count, afterBatch].compactMap(\.self))
    func vector(_ name: String) -> Vector? {
      if all[name] == nil, opening.columns.contains(name) { return Vector(name: name, places: nil) }
      var places: [Int] = []
      while let place = all["\(name)[\(places.count)]"] { places.append(place) }
      known.formUnion(places)
      return places.isEmpty ? nil : Vector(name: name, places: places)
    }
    let (sums, rows) = (Self.sums.map(vector), Self.rows.map(vector))
    hasRows = rows.contains { $0 != nil }
    vectors = (hasRows ? rows : sums).compactMap(\.self)
    guard vectors.count == 2, !hasRows || sums.allSatisfy({ $0 == nil }) else {
      let found = (sums + rows).compactMap { $0?.name }
      throw RecordFault(
        expected:
          "columns weight_grad and bias_grad of lists of Float64 or Float32, or y and y_grad of lists of these",
        found: found.isEmpty ? "none" : listed(found))
    }
    // A column that is no number would be left out without a word, such as one of names.
    let read = ["version", "count", "after_batch"] + vectors.map(\.name)
    let other =
      names.indices.first { !known.contains($0) }.map { names[$0] }
      ?? opening.columns.first { column in
        !read.contains { column == $0 || column.hasPrefix($0 + "[") }
      }
    if let other {
      throw RecordFault(
        expected:
          "the columns version, weight_grad and bias_grad or y and y_grad, and perhaps count and after_batch",
        found: quoted(other))
    }
  }

  /// The gradients of all rows of a record batch.
  func gradients(in block: RecordBlock) -> Result<[GradientLine], UpdateBodyError> {
    Result { () throws(UpdateBodyError) in
      let lists = ArrowLists(of: block)
      var lines: [GradientLine] = []
      for row in 0..<block.columns.count { lines.append(try line(row, of: block.columns, lists)) }
      guard lines.allSatisfy({ $0.afterBatch == lines[0].afterBatch }) else {
        throw UpdateBodyError(
          "after_batch: expected the same in all rows of a record batch, which are taken together")
      }
      return lines
    }
  }

  private func line(
    _ row: Int, of columns: FeatureColumns, _ lists: ArrowLists?
  ) throws(UpdateBodyError) -> GradientLine {
    func number(_ place: Int) -> Double { columns[record: row, feature: place] }
    func whole(_ place: Int) -> Int? {
      let value = number(place)
      return value.magnitude <= Double(StateColumn.countLimit) ? Int(exactly: value) : nil
    }
    guard let version = whole(version) else {
      throw UpdateBodyError("version: expected a whole number in row \(row + 1)")
    }
    var counts: [Int?] = []
    for (name, place) in [("count", count), ("after_batch", afterBatch)] {
      guard let place, !number(place).isNaN else {
        counts.append(nil)
        continue
      }
      guard let value = whole(place), value >= 0 else {
        throw UpdateBodyError("\(name): expected a whole number from 0 to 2^53 in row \(row + 1)")
      }
      counts.append(value)
    }
    let values = vectors.map { vector in
      vector.places.map { .numbers($0.map(number)) } ?? lists?.value(of: vector.name, in: row)
    }
    let content: GradientsBody.Content
    switch (values[0], values[1], hasRows) {
    case (.numbers(let weight)?, .numbers(let bias)?, false):
      content = .sums(weight: weight, bias: bias)
    case (.rows(let y)?, .rows(let gradients)?, true): content = .rows(y: y, gradients: gradients)
    default:
      throw UpdateBodyError(
        "\(vectors.map(\.name).joined(separator: " and ")): expected a list of \(hasRows ? "lists of " : "")numbers in row "
          + "\(row + 1), found another type or null")
    }
    return GradientLine(
      GradientsBody(version: version, count: counts[0], content), afterBatch: counts[1])
  }
}
