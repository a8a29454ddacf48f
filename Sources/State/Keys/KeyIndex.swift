/// Finds the row of a key by its name: open addressing with linear probing, at most half full.
///
/// The hash has a seed of the process, so that hostile keys cannot collide on purpose.
package struct KeyIndex: Sendable {
  private static let free = UInt64.max
  private static let seeds = (UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max) | 1)

  /// At each place the lower half of a hash, and the row: one look in memory finds both.
  private var places: [UInt64] = []
  package private(set) var count = 0

  package init() { makeRoom(for: 16) }

  /// The hash of a name: a product of two words for every eight bytes, folded.
  package static func hash(of name: ArraySlice<UInt8>) -> UInt64 {
    name.withUnsafeBytes { hash(of: $0) }
  }

  private static func hash(of name: UnsafeRawBufferPointer) -> UInt64 {
    let seeds = seeds
    var hash = seeds.0 ^ UInt64(truncatingIfNeeded: name.count)
    var place = 0
    while place + 8 <= name.count {
      hash = mixed(hash ^ name.loadUnaligned(fromByteOffset: place, as: UInt64.self), seeds.1)
      place += 8
    }
    var rest: UInt64 = 0
    while place < name.count {
      rest = rest << 8 | UInt64(name[place])
      place += 1
    }
    return mixed(mixed(hash ^ rest, seeds.1), seeds.0 | 1)
  }

  private static func mixed(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (high, low) = left.multipliedFullWidth(by: right)
    return high ^ low
  }

  /// The row of a key.
  ///
  /// - Parameter isName: whether a row has the name; asked for rows whose hashes may be the same.
  @inline(__always)
  package func row(_ hash: UInt64, _ isName: (_ row: Int) -> Bool) -> Int? {
    let mask = places.count - 1
    var place = Int(truncatingIfNeeded: hash & 0xFFFF_FFFF) & mask
    while places[place] != Self.free {
      if places[place] >> 32 == hash & 0xFFFF_FFFF {
        let row = Int(places[place] & 0xFFFF_FFFF)
        if isName(row) { return row }
      }
      place = (place + 1) & mask
    }
    return nil
  }

  /// The rows of some keys; -1 for one that is not known.
  ///
  /// It first looks up all hashes and then compares all names, so that the processor waits for the memory of many keys
  /// at once.
  ///
  /// - Parameter names: those of the table, by its rows.
  package func find(
    _ hashes: [UInt64], _ wanted: KeyNames, in names: KeyNames, rows: inout [Int32]
  ) {
    rows.removeAll(keepingCapacity: true)
    for hash in hashes { rows.append(row(hash) { _ in true }.map { Int32($0) } ?? -1) }
    for (number, hash) in hashes.enumerated() where rows[number] >= 0 {
      if names.isEqual(Int(rows[number]), wanted, number) { continue }
      rows[number] = row(hash) { names.isEqual($0, wanted, number) }.map { Int32($0) } ?? -1
    }
  }

  /// The number of a key among some that are numbered in the order in which they first come.
  ///
  /// - Parameters:
  ///   - names: the name of each key, and then its hash.
  package mutating func number(
    of name: ArraySlice<UInt8>, _ names: inout KeyNames, _ hashes: inout [UInt64]
  ) -> Int {
    name.withUnsafeBytes { name in
      let hash = Self.hash(of: name)
      if let number = row(hash, { names.isEqual($0, name) }) { return number }
      names.append(name)
      hashes.append(hash)
      insert(hash, row: names.count - 1)
      return names.count - 1
    }
  }

  /// Adds a key that is not in the index.
  package mutating func insert(_ hash: UInt64, row: Int) {
    if 2 * (count + 1) > places.count { makeRoom(for: 2 * places.count) }
    put(Self.place(hash, row))
    count += 1
  }

  /// Removes the key of a row, which must be there.
  package mutating func remove(_ hash: UInt64, row: Int) {
    let mask = places.count - 1
    var hole = place(of: hash, row)
    // Moves back those that stand later than their own place because of it.
    var next = (hole + 1) & mask
    while places[next] != Self.free {
      let own = Int(places[next] >> 32) & mask
      if (next - own) & mask >= (next - hole) & mask {
        places[hole] = places[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    places[hole] = Self.free
    count -= 1
  }

  /// Notes that a key has another row.
  package mutating func move(_ hash: UInt64, from row: Int, to other: Int) {
    places[place(of: hash, row)] = Self.place(hash, other)
  }

  /// Forgets all keys, and keeps the memory.
  package mutating func removeAll() {
    guard count > 0 else { return }
    for place in places.indices { places[place] = Self.free }
    count = 0
  }

  private static func place(_ hash: UInt64, _ row: Int) -> UInt64 { hash << 32 | UInt64(row) }

  private func place(of hash: UInt64, _ row: Int) -> Int {
    let mask = places.count - 1
    var place = Int(truncatingIfNeeded: hash & 0xFFFF_FFFF) & mask
    while places[place] != Self.place(hash, row) {
      precondition(places[place] != Self.free, "no such key in the index")
      place = (place + 1) & mask
    }
    return place
  }

  private mutating func put(_ entry: UInt64) {
    let mask = places.count - 1
    var place = Int(entry >> 32) & mask
    while places[place] != Self.free { place = (place + 1) & mask }
    places[place] = entry
  }

  /// - Parameter capacity: the number of places, a power of two.
  private mutating func makeRoom(for capacity: Int) {
    let old = places
    places = Array(repeating: Self.free, count: capacity)
    for entry in old where entry != Self.free { put(entry) }
  }
}

/// The rows of keys in the order of their last use: a list that is linked through an array.
package struct KeyOrder: Sendable {
  private static let none: Int32 = -1

  /// The neighbours of each row: one look in memory finds both.
  private var links: [(older: Int32, newer: Int32)] = []
  private var first = none
  private var last = none

  package init() {}

  /// The row that was used the longest ago; nil if the list is empty.
  package var oldest: Int? { first >= 0 ? Int(first) : nil }

  /// Adds a row, which is not in the list, as the newest.
  package mutating func append(_ row: Int) {
    makeRoom(for: row)
    links[row] = (last, Self.none)
    if last >= 0 { links[Int(last)].newer = Int32(row) } else { first = Int32(row) }
    last = Int32(row)
  }

  /// Takes a row out of the list.
  package mutating func remove(_ row: Int) {
    let (before, after) = links[row]
    if before >= 0 { links[Int(before)].newer = after } else { first = after }
    if after >= 0 { links[Int(after)].older = before } else { last = before }
  }

  /// Takes rows out of the list; a row of -1 is none.
  package mutating func remove(_ rows: [Int32]) {
    for row in rows where row >= 0 { remove(Int(row)) }
  }

  /// Gives the place of a row to another row, which is not in the list.
  package mutating func move(from row: Int, to other: Int) {
    makeRoom(for: other)
    let (before, after) = links[row]
    links[other] = (before, after)
    if before >= 0 { links[Int(before)].newer = Int32(other) } else { first = Int32(other) }
    if after >= 0 { links[Int(after)].older = Int32(other) } else { last = Int32(other) }
  }

  private mutating func makeRoom(for row: Int) {
    let added = row + 1 - links.count
    guard added > 0 else { return }
    links.append(contentsOf: repeatElement((older: Self.none, newer: Self.none), count: added))
  }
}
