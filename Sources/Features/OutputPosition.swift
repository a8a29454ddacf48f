/// A place in an output of files, between two writes.
package struct OutputPosition: Sendable, Equatable, Codable {
  /// In the file that grows.
  package var byteCount: Int
  /// The number of the last file that was rotated; 0 before the first.
  package var sequence: Int
  /// When the growing file got its first write, in seconds since 1970; nil while it is empty.
  package var firstWriteSeconds: Double?

  package init(byteCount: Int, sequence: Int, firstWriteSeconds: Double? = nil) {
    self.byteCount = byteCount
    self.sequence = sequence
    self.firstWriteSeconds = firstWriteSeconds
  }

  enum CodingKeys: String, CodingKey {
    case byteCount = "byte_count"
    case sequence
    case firstWriteSeconds = "first_write_seconds"
  }
}
