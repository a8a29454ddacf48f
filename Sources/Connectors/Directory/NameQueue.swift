internal import HeapModule
internal import Records

/// Names without duplicates, which leave in the order of their bytes. Adding or taking one takes logarithmic time,
/// removing one constant time.
///
/// Invariant: `order` contains every name of `names`; the others in it were removed.
struct NameQueue: Sendable {
  private var order: Heap<Name>
  private var names: Set<Name>

  /// - Parameter names: in any order.
  init(_ names: [String] = []) {
    self.names = Set(names.asNames)
    order = Heap(self.names)
  }

  var count: Int { names.count }

  var isEmpty: Bool { names.isEmpty }

  /// The number of names in memory, removed ones among them.
  var slotCount: Int { order.count }

  mutating func popFirst() -> String? {
    while let first = order.popMin() {
      if names.remove(first) != nil { return first.text }
    }
    return nil
  }

  mutating func insert(_ name: String) {
    let name = Name(name)
    if names.insert(name).inserted { order.insert(name) }
  }

  mutating func remove(_ name: String) {
    names.remove(Name(name))
    // Names that come and go while nothing is read must not pile up.
    if order.count > 2 * names.count + 64 { order = Heap(names) }
  }
}
