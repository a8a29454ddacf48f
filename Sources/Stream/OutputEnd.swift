internal import Codecs
internal import Configuration
internal import Connectors
internal import Records
internal import Storage

extension StreamConfiguration {
  /// The form in which the records of the input end.
  var readEnds: RecordEnds {
    format.recordEnds(decoder.settings, 0, format.precision(decoder.settings))
  }

  /// The form in which the records of the output end; nil if they are compressed. The number of bytes of a row is not
  /// known before the stream is opened.
  var writtenEnds: RecordEnds? {
    guard compressionLevel == nil else { return nil }
    return (outputFormat ?? format).recordEnds(
      keepsFormat ? decoder.settings : nil, 0, precision)
  }

  /// Whether a message of the output may hold records of several messages of the input.
  var mixesMessages: Bool { writtenEnds == .arrowMessages && !keepsFormat }

  /// Finds the end of the last whole frame or record of an output. A crash may have cut it off.
  ///
  /// - Parameter featureCount: the number of features, for rows that contain only features.
  func wholeOutputEnd(featureCount: Int) -> WholeEnd {
    if compressionLevel != nil {
      return { file, start, end throws(FileError) in
        try frameEnd(of: file, from: start, to: end)
      }
    }
    let ends = (outputFormat ?? format).recordEnds(
      keepsFormat ? decoder.settings : nil, featureCount, precision)
    switch ends {
    case .rows(let byteCount):
      return { _, start, end in start + (end - start) / max(1, byteCount) * max(1, byteCount) }
    case .arrowMessages:
      return { file, start, end throws(FileError) in
        try messageEnd(of: file, from: start, to: end)
      }
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

/// Finds what an Arrow stream or file lacks at its end: whole record batches, the end mark, or the footer.
let missingArrowEnd: MissingEnd = { file, byteCount throws(FileError) in
  let start = try file.bytes(from: 0, count: min(byteCount, ArrowBeginning.mostBytes))
  guard let plain = ArrowBeginning(start) else {
    return try missingFrame(of: file, byteCount)
  }
  let whole = try messageEnd(of: file, from: min(byteCount, plain.schemaOffset), to: byteCount)
  guard whole > plain.schemaOffset else { return (0, plain.epilogue) }
  let end = try file.bytes(of: plain.epilogue, after: whole)
  let isEnded =
    byteCount - whole == end.count
    ? try file.bytes(from: whole, count: end.count) == end : false
  return isEnded ? nil : (whole, plain.epilogue)
}

/// Finds what a compressed Arrow stream lacks at its end.
private func missingFrame(
  of file: any File, _ byteCount: Int
) throws(FileError) -> (wholeBytes: Int, epilogue: any Epilogue)? {
  let whole = try frameEnd(of: file, from: 0, to: byteCount)
  let start = try file.bytes(from: 0, count: min(whole, ArrowBeginning.mostBytes))
  guard let contents = InputDecompressor.start(of: start, CodecOptions(maxWindowLog: 27)),
    let stream = ArrowBeginning(contents), !stream.epilogue.needsFile
  else { return nil }
  let plainMark = ByteBuffer()
  plainMark.append(stream.epilogue.bytes)
  guard let mark = try? ZstdCompressor(level: 1).compress(plainMark.readable) else { return nil }
  let markStart = whole - mark.count
  let isEnded =
    markStart > 0 ? try file.bytes(from: markStart, count: mark.count) == mark : false
  if isEnded, whole == byteCount { return nil }
  return (isEnded ? markStart : whole, FixedEpilogue(mark))
}

/// The end of the last whole frame. A power failure may leave a hole within a frame, so each is decompressed.
private func frameEnd(
  of file: any File, from start: Int, to end: Int
) throws(FileError) -> Int {
  var whole = start
  while whole < end {
    let next = try ZstdFrameWalk.frameEnd(at: whole, to: end) { offset, count throws(FileError) in
      try file.bytes(from: offset, count: count)
    }
    guard let next else { break }
    let start = whole
    let isSound = try ZstdDecompressor.isSound(byteCount: next - start) {
      offset, count throws(FileError) in try file.bytes(from: start + offset, count: count)
    }
    guard isSound else { break }
    whole = next
  }
  return whole
}

/// The end of the last whole message of an Arrow stream.
private func messageEnd(
  of file: any File, from start: Int, to end: Int
) throws(FileError) -> Int {
  var whole = start
  while let next = try ArrowFrameWalk.messageEnd(
    at: whole, to: end,
    { offset, count throws(FileError) in try file.bytes(from: offset, count: count) })
  {
    whole = next
  }
  return whole
}

/// The end of the last whole line. A line end within quotes ends no line. A zero byte ends the search: it belongs to a
/// hole that a power failure left.
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
      if byte == 0 { return whole }
      if byte == quote { isQuoted.toggle() }
      if byte == 0x0A, !isQuoted { whole = offset + index + 1 }
    }
    offset += bytes.count
  }
  return whole
}
