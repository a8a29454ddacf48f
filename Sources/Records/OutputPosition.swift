/// The name of one of the outputs of a stream.
package struct SinkID: Hashable, Sendable {
  package let name: String

  package init(_ name: String) { self.name = name }

  /// The records.
  package static let output = SinkID("output")
  /// The rejected records.
  package static let deadLetters = SinkID("dead_letters")
}

/// A position in an output of files, between two writes.
package struct OutputPosition: Sendable, Equatable, Codable {
  /// The length of the growing file.
  package var byteCount: Int
  /// The number of the last rotated file; 0 before the first.
  package var sequence: Int
  /// The time of the first write to the growing file, in seconds since 1970; nil while it is empty.
  package var firstWriteSeconds: Double?
  /// Identifies the files and the form of the output. A position of another destination is no position in these
  /// files. Nil means any destination.
  package var destination: String?
  /// True if an epilogue ends each file; it is not in `byteCount`.
  package var hasEpilogue: Bool?
  /// True if the growing file may begin with another prologue than that of the stream: it was kept, although the
  /// checkpoint does not know of all its records.
  package var mayDiffer: Bool?

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
    case hasEpilogue = "has_epilogue"
    case mayDiffer = "may_differ"
  }
}
