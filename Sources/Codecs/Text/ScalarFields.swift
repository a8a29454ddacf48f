package import Records

/// Spells the columns of records of a format with typed columns, for an output of text.
package protocol ScalarFields: Sendable {
  /// All columns of the output, in order.
  var columns: [ScalarColumn] { get }
  /// Visits the selected records of a block, in order.
  ///
  /// - Parameter visit: gets the index of the record, and a function that appends the value of a column that is no
  ///   feature to a buffer. That returns false if there is no value.
  func forEachRecord(
    of block: RecordBlock,
    _ visit: (_ record: Int, _ spell: (_ column: Int, _ output: ByteBuffer) -> Bool) -> Void)
}

/// A column of an output of text.
package struct ScalarColumn: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case feature(Int)
    /// Text, which may need quotes.
    case text
    /// An integer, a decimal number, true or false.
    case literal
    /// A floating-point number; `inf` may be among them.
    case float
  }

  package var name: String
  package var kind: Kind

  package init(_ name: String, _ kind: Kind) {
    self.name = name
    self.kind = kind
  }
}
