package import Records

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

/// An Arrow stream or file that this program began to write, by its first bytes.
package struct ArrowBeginning: Sendable {
  /// The offset of the schema message.
  package let schemaOffset: Int
  /// The bytes that end it.
  package let epilogue: any Epilogue

  /// The bytes that are looked at.
  package static let mostBytes = 1 << 20

  /// - Parameter start: the first bytes, decompressed.
  /// - Returns: nil if they are of another form, or do not have the whole schema of a stream.
  package init?(_ start: [UInt8]) {
    let mark = ArrowFooter.fileStart
    if start.starts(with: mark) || !start.isEmpty && mark.starts(with: start) {
      schemaOffset = mark.count
      epilogue = ArrowFileEnd()
      return
    }
    let schema = try? ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: start), DecoderLimits())
    guard schema != nil else { return nil }
    schemaOffset = 0
    epilogue = FixedEpilogue(ArrowEncoder.endMark)
  }
}
