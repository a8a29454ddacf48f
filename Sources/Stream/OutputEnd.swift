internal import Codecs
internal import Configuration
internal import Connectors
internal import Records
internal import Storage

extension StreamConfiguration {
  /// Finds the end of the last whole frame or record of an output. A crash may have cut it off.
  ///
  /// - Parameter featureCount: the number of features, for rows that contain only features.
  func wholeOutputEnd(featureCount: Int) -> WholeEnd {
    if compressionLevel != nil {
      return { file, start, end throws(FileError) in
        try ZstdFrameWalk.wholeEnd(from: start, to: end) { offset, count throws(FileError) in
          try file.bytes(from: offset, count: count)
        }
      }
    }
    let ends = (outputFormat ?? format).recordEnds(
      keepsFormat ? decoder.settings : nil, featureCount, precision)
    switch ends {
    case .rows(let byteCount):
      return { _, start, end in start + (end - start) / max(1, byteCount) * max(1, byteCount) }
    case .lines(let quote):
      return { file, start, end throws(FileError) in
        try lineEnd(of: file, from: start, to: end, quote: quote)
      }
    }
  }
}

/// Finds the end of the last whole line of dead letters.
let wholeLineEnd: WholeEnd = { file, start, end throws(FileError) in
  try lineEnd(of: file, from: start, to: end, quote: nil)
}

/// The end of the last whole line. A line end within quotes ends no line.
private func lineEnd(
  of file: any File, from start: Int, to end: Int, quote: UInt8?
) throws(FileError) -> Int {
  var whole = start
  var offset = start
  var isQuoted = false
  while offset < end {
    let bytes = try file.bytes(from: offset, count: min(64 << 10, end - offset))
    if bytes.isEmpty { break }
    for (index, byte) in bytes.enumerated() {
      if byte == quote { isQuoted.toggle() }
      if byte == 0x0A, !isQuoted { whole = offset + index + 1 }
    }
    offset += bytes.count
  }
  return whole
}
