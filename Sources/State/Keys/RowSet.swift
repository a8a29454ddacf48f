/// A set of rows, with a bit for each.
struct RowSet: Sendable {
  private var words: [UInt64] = []
  private(set) var count = 0

  mutating func insert(_ row: Int) {
    let (word, bit) = (row >> 6, UInt64(1) << UInt64(row & 63))
    if word >= words.count {
      words.append(contentsOf: repeatElement(0, count: word + 1 - words.count))
    }
    if words[word] & bit == 0 {
      words[word] |= bit
      count += 1
    }
  }

  mutating func remove(_ row: Int) {
    let (word, bit) = (row >> 6, UInt64(1) << UInt64(row & 63))
    guard word < words.count, words[word] & bit != 0 else { return }
    words[word] &= ~bit
    count -= 1
  }

  mutating func removeAll() {
    for word in words.indices { words[word] = 0 }
    count = 0
  }

  /// The rows in order.
  var rows: [Int32] {
    var rows: [Int32] = []
    rows.reserveCapacity(count)
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        rows.append(Int32(64 * index + rest.trailingZeroBitCount))
        rest &= rest - 1
      }
    }
    return rows
  }
}
