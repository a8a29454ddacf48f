/// Whether a header precedes the records of a split, in a format that has headers.
package enum HeaderPlace: Sendable {
  /// The split begins with one.
  case expected
  /// The split may begin with one: a file that was emptied and is written on.
  case optional
  /// The bytes that are given come after it.
  case passed
}
