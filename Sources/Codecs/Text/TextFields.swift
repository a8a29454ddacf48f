/// Divides the text of records into the fields of all columns, for an output of another format that has columns too.
package protocol TextFields: Sendable {
  /// The names of all columns, those of features included.
  var columns: [String] { get }
  /// The names that the columns have in the output; the same, unless the names of columns are paths.
  var outputNames: [String] { get }
  /// Visits the fields of the records in `text`, which a decoder has taken.
  ///
  /// - Parameter visit: gets the index of the column, and the contents of the field; nil if it is empty.
  func forEachField(
    of text: ArraySlice<UInt8>, _ visit: (_ column: Int, _ field: ArraySlice<UInt8>?) -> Void)
}

extension TextFields {
  package var outputNames: [String] { columns }
}
