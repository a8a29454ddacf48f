/// Changes of the set of done splits. Each split is known by a hash.
package struct DoneChanges: Sendable, Equatable {
  package var added: Set<UInt64>
  /// The splits that the source does not meet again.
  package var removed: Set<UInt64>

  package init(added: Set<UInt64> = [], removed: Set<UInt64> = []) {
    self.added = added
    self.removed = removed
  }

  package var isEmpty: Bool { added.isEmpty && removed.isEmpty }

  package mutating func add(_ hash: UInt64) {
    if removed.remove(hash) == nil { added.insert(hash) }
  }

  package mutating func remove(_ hash: UInt64) {
    if added.remove(hash) == nil { removed.insert(hash) }
  }

  /// Adds changes that came after these.
  package mutating func append(_ later: DoneChanges) {
    for hash in later.removed { remove(hash) }
    for hash in later.added { add(hash) }
  }
}
