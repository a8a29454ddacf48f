package import Storage

/// Reads bytes that are in memory, as a file that ends.
package struct MemorySource: Source {
  package let name = "input"
  package let endsAnywhere = false
  private let bytes: [UInt8]
  private var offset = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var size: Int? { bytes.count }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    let part = bytes[offset...].prefix(buffer.count)
    guard !part.isEmpty else { return .end }
    buffer.copyBytes(from: part)
    offset += part.count
    return .data(0, .bytes(part.count))
  }

  package mutating func abandon(_ split: SplitID) { offset = bytes.count }
}
