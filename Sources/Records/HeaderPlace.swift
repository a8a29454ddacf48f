/// Whether a header comes before the records of a split, for formats with headers.
package enum HeaderPlace: Sendable {
  /// The split begins with a header.
  case expected
  /// The split may begin with a header: a file that was emptied and continues.
  case optional
  /// The first bytes of the split come after the header.
  case passed
}
