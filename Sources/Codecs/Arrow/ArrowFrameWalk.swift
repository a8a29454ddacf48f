internal import Records

/// Walks the messages of an Arrow stream in a file, by their prefixes and metadata.
package enum ArrowFrameWalk {
  /// The end of the message at an offset; nil if it is not whole.
  ///
  /// - Parameters:
  ///   - end: the end of the file.
  ///   - read: gives so many bytes at an offset.
  package static func messageEnd<Failure: Error>(
    at start: Int, to end: Int, _ read: (_ offset: Int, _ count: Int) throws(Failure) -> [UInt8]
  ) throws(Failure) -> Int? {
    guard end - start >= 8 else { return nil }
    let prefix = try read(start, 8)
    let found = try? FlatBytes.read(prefix) { bytes throws(RecordFault) in
      try ArrowFrame.start(of: bytes)
    }
    guard case .message(8, let metadataBytes) = found, end - start - 8 >= metadataBytes else {
      return nil
    }
    let metadata = try read(start + 8, metadataBytes)
    let bodyBytes = try? FlatBytes.read(metadata) { bytes throws(RecordFault) in
      try ArrowMessage(bytes, bodyLimit: .max).bodyBytes
    }
    guard let bodyBytes, bodyBytes <= end - start - 8 - metadataBytes else { return nil }
    return start + 8 + metadataBytes + bodyBytes
  }
}
