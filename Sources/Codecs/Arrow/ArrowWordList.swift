internal import Records

/// The values of a dictionary: those of its message, and of the deltas after it.
struct ArrowWordList: Sendable {
  private var parts: [ArrowScalarArray] = []
  /// For each part, the number of values up to and with its own.
  private var ends: [Int] = []
  private(set) var byteCount = 0

  /// The number of values.
  var count: Int { ends.last ?? 0 }

  /// Adds the values of a message.
  mutating func append(_ part: ArrowScalarArray, count: Int) {
    guard count > 0 else { return }
    parts.append(part)
    ends.append(self.count + count)
    byteCount += part.byteCount
  }

  /// Appends the text of a value. Returns false if the value is null.
  ///
  /// - Parameter index: less than `count`.
  func spell(_ index: Int, to output: ByteBuffer) -> Bool {
    let (part, row) = place(of: index)
    return part.spell(row, to: output)
  }

  /// The fault of a value without a text; nil if it has one.
  func fault(of index: Int) -> RecordFault? {
    guard !parts.allSatisfy(\.hasAllTexts) else { return nil }
    let (part, row) = place(of: index)
    return part.fault(of: row)
  }

  /// The part with a value, and its row there.
  private func place(of index: Int) -> (part: ArrowScalarArray, row: Int) {
    var (low, high) = (0, ends.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if index < ends[middle] { high = middle } else { low = middle + 1 }
    }
    return (parts[low], index - (low > 0 ? ends[low - 1] : 0))
  }
}

/// The values of the dictionaries that stand, of columns that an output of text has.
struct ArrowWordLists: Sendable {
  private var lists: [Int64: ArrowWordList] = [:]

  subscript(id: Int64) -> ArrowWordList? { lists[id] }

  /// Takes the values of a message.
  mutating func take(_ part: ArrowScalarArray, count: Int, id: Int64, isDelta: Bool) {
    var list = isDelta ? lists.removeValue(forKey: id) ?? ArrowWordList() : ArrowWordList()
    list.append(part, count: count)
    lists[id] = list
  }

  /// The bytes that a dictionary may have at most, so that all stay within the limit of dictionaries that stand.
  func bytesLeft(id: Int64, isDelta: Bool) -> Int {
    lists.reduce(ArrowStanding.limit) { left, list in
      list.key == id && !isDelta ? left : left - list.value.byteCount
    }
  }
}
