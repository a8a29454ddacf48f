/// The name of one of the outputs of a stream.
package struct SinkID: Hashable, Sendable {
  package let name: String

  package init(_ name: String) { self.name = name }

  /// The records.
  package static let output = SinkID("output")
  /// The rejected records.
  package static let deadLetters = SinkID("dead_letters")
}

/// A place in an output of files, between two writes.
package struct OutputPosition: Sendable, Equatable, Codable {
  /// In the file that grows.
  package var byteCount: Int
  /// The number of the last file that was rotated; 0 before the first.
  package var sequence: Int
  /// When the growing file got its first write, in seconds since 1970; nil while it is empty.
  package var firstWriteSeconds: Double?
  /// Where the files are and what they hold, as far as their writer tells them apart: a place in others is
  /// none in these. Nil is not told.
  package var destination: String?

  package init(byteCount: Int, sequence: Int, firstWriteSeconds: Double? = nil) {
    self.byteCount = byteCount
    self.sequence = sequence
    self.firstWriteSeconds = firstWriteSeconds
  }

  package func isIn(_ destination: String?) -> Bool {
    self.destination == nil || self.destination == destination
  }

  enum CodingKeys: String, CodingKey {
    case byteCount = "byte_count"
    case sequence
    case firstWriteSeconds = "first_write_seconds"
    case destination
  }
}
