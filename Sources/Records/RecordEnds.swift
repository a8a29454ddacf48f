/// The form of the end of a record, in the bytes of a format.
package enum RecordEnds: Sendable, Equatable {
  /// A line end that is not within quotes.
  case lines(quote: UInt8?)
  /// A fixed number of bytes.
  case rows(byteCount: Int)
  /// The end of a message of an Arrow stream.
  case arrowMessages
}
