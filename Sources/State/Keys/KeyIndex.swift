/// Finds the row of a key by its name: open addressing with linear probing, at most half full.
///
/// The hash has a seed of the process, so that hostile keys cannot collide on purpose.
package struct KeyIndex: Sendable {
  private var hashes: [UInt64] = []
  /// The row at each place; -1 if the place is free.
  private var rows: [Int32] = []
  package private(set) var count = 0

  package init() { makeRoom(for: 16) }

  package static func hash(of name: ArraySlice<UInt8>) -> UInt64 {
    var hasher = Hasher()
    var word: UInt64 = 0
    var count = 0
    for byte in name {
      word = word << 8 | UInt64(byte)
      count += 1
      if count & 7 == 0 { hasher.combine(word) }
    }
    hasher.combine(word)
    hasher.combine(count)
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }

  /// The row of a key.
  ///
  /// - Parameter isName: whether a row has the name; asked for rows of the same hash.
  @inline(__always)
  package func row(_ hash: UInt64, _ isName: (_ row: Int) -> Bool) -> Int? {
    let mask = rows.count - 1
    var place = Int(truncatingIfNeeded: hash) & mask
    while rows[place] >= 0 {
      if hashes[place] == hash, isName(Int(rows[place])) { return Int(rows[place]) }
      place = (place + 1) & mask
    }
    return nil
  }

  /// Adds a key that is not in the index.
  package mutating func insert(_ hash: UInt64, row: Int) {
    if 2 * (count + 1) > rows.count { makeRoom(for: 2 * rows.count) }
    put(hash, Int32(row))
    count += 1
  }

  /// Removes the key of a row, which must be there.
  package mutating func remove(_ hash: UInt64, row: Int) {
    let mask = rows.count - 1
    var hole = place(of: hash, row)
    // Moves back those that stand later than their own place because of it.
    var next = (hole + 1) & mask
    while rows[next] >= 0 {
      let own = Int(truncatingIfNeeded: hashes[next]) & mask
      if (next - own) & mask >= (next - hole) & mask {
        (hashes[hole], rows[hole]) = (hashes[next], rows[next])
        hole = next
      }
      next = (next + 1) & mask
    }
    rows[hole] = -1
    count -= 1
  }

  /// Notes that a key has another row.
  package mutating func move(_ hash: UInt64, from row: Int, to other: Int) {
    rows[place(of: hash, row)] = Int32(other)
  }

  /// Forgets all keys, and keeps the memory.
  package mutating func removeAll() {
    guard count > 0 else { return }
    for place in rows.indices { rows[place] = -1 }
    count = 0
  }

  private func place(of hash: UInt64, _ row: Int) -> Int {
    let mask = rows.count - 1
    var place = Int(truncatingIfNeeded: hash) & mask
    while rows[place] != row {
      precondition(rows[place] >= 0, "no such key in the index")
      place = (place + 1) & mask
    }
    return place
  }

  private mutating func put(_ hash: UInt64, _ row: Int32) {
    let mask = rows.count - 1
    var place = Int(truncatingIfNeeded: hash) & mask
    while rows[place] >= 0 { place = (place + 1) & mask }
    (hashes[place], rows[place]) = (hash, row)
  }

  /// - Parameter capacity: the number of places, a power of two.
  private mutating func makeRoom(for capacity: Int) {
    let (oldHashes, oldRows) = (hashes, rows)
    hashes = Array(repeating: 0, count: capacity)
    rows = Array(repeating: -1, count: capacity)
    for (hash, row) in zip(oldHashes, oldRows) where row >= 0 { put(hash, row) }
  }
}

/// The rows of keys in the order of their last use: a list that is linked through arrays.
package struct KeyOrder: Sendable {
  private static let none: Int32 = -1

  private var older: [Int32] = []
  private var newer: [Int32] = []
  private var first = none
  private var last = none

  package init() {}

  /// The row that was used the longest ago; nil if the list is empty.
  package var oldest: Int? { first >= 0 ? Int(first) : nil }

  /// Adds a row, which is not in the list, as the newest.
  package mutating func append(_ row: Int) {
    makeRoom(for: row)
    (older[row], newer[row]) = (last, Self.none)
    if last >= 0 { newer[Int(last)] = Int32(row) } else { first = Int32(row) }
    last = Int32(row)
  }

  /// Takes a row out of the list.
  package mutating func remove(_ row: Int) {
    link(older[row], newer[row])
  }

  /// Gives the place of a row to another row, which is not in the list.
  package mutating func move(from row: Int, to other: Int) {
    makeRoom(for: other)
    let (before, after) = (older[row], newer[row])
    (older[other], newer[other]) = (before, after)
    if before >= 0 { newer[Int(before)] = Int32(other) } else { first = Int32(other) }
    if after >= 0 { older[Int(after)] = Int32(other) } else { last = Int32(other) }
  }

  private mutating func makeRoom(for row: Int) {
    let added = row + 1 - older.count
    guard added > 0 else { return }
    older.append(contentsOf: repeatElement(Self.none, count: added))
    newer.append(contentsOf: repeatElement(Self.none, count: added))
  }

  private mutating func link(_ before: Int32, _ after: Int32) {
    if before >= 0 { newer[Int(before)] = after } else { first = after }
    if after >= 0 { older[Int(after)] = before } else { last = before }
  }
}
