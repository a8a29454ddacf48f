/// Sorted names without duplicates. Adding or removing one usually takes logarithmic time.
///
/// Invariants:
/// - `names[head...]` ascend, and so do `late`; no name is in both.
struct NameQueue: Sendable {
  /// The most late names before they are merged into the others.
  private static let mostLate = 256

  private var names: [String]
  private var head = 0
  /// The few names that were added later.
  private var late: [String] = []

  /// - Parameter names: in any order.
  init(_ names: [String] = []) {
    self.names = names.sorted()
  }

  var count: Int { names.count - head + late.count }

  var isEmpty: Bool { head == names.count && late.isEmpty }

  mutating func popFirst() -> String? {
    if let first = late.first, head == names.count || first < names[head] {
      return late.removeFirst()
    }
    guard head < names.count else { return nil }
    defer { dropHead() }
    return names[head]
  }

  /// Takes out the first of `names`.
  private mutating func dropHead() {
    head += 1
    if 2 * head >= names.count {
      names.removeFirst(head)
      head = 0
    }
  }

  mutating func insert(_ name: String) {
    let place = Self.place(of: name, in: names, from: head)
    if place < names.count, names[place] == name { return }
    // A late name may be the greatest by now, since those after it can be removed.
    let latePlace = Self.place(of: name, in: late, from: 0)
    if latePlace < late.count, late[latePlace] == name { return }
    if place == names.count {
      names.append(name)
      return
    }
    late.insert(name, at: latePlace)
    guard late.count > Self.mostLate else { return }
    names = (names[head...] + late).sorted()
    (head, late) = (0, [])
  }

  mutating func remove(_ name: String) {
    let latePlace = Self.place(of: name, in: late, from: 0)
    if latePlace < late.count, late[latePlace] == name {
      late.remove(at: latePlace)
      return
    }
    let place = Self.place(of: name, in: names, from: head)
    guard place < names.count, names[place] == name else { return }
    if place == head {
      dropHead()
    } else {
      names.remove(at: place)
    }
  }

  /// The index of the first name that is not less than `name`.
  private static func place(of name: String, in names: [String], from start: Int) -> Int {
    var (low, high) = (start, names.count)
    while low < high {
      let middle = (low + high) / 2
      if names[middle] < name { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
