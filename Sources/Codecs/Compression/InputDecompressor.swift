package import Records

// Invariants:
// - `frames` ascend, and the last one that starts at or before the place asked for is kept.
// - `inputOffset` and `byteOffset` are the places in the input and in the stream of what comes next.

/// Turns the bytes of an input into the bytes of the stream, whether compressed or not.
///
/// What the input is, is seen by its first four bytes: a zstd frame (or a skippable frame) is
/// decompressed, anything else is passed on. Frames that follow one another are one stream.
package struct InputDecompressor: Sendable {
  private enum Kind {
    case unknown
    case plain
    case zstd
  }

  /// Where a frame starts, in the input and in the stream.
  private struct Frame {
    var offset: Int
    var byteOffset: Int
  }

  private let decompressor: ZstdDecompressor
  private var kind = Kind.unknown
  private var frames = [Frame(offset: 0, byteOffset: 0)]
  private var isWithinFrame = false
  package private(set) var inputOffset = 0
  private var byteOffset = 0
  /// Whether the last call filled its output, so that there may be more without more input.
  package private(set) var mayHoldMore = false

  package init(maxWindowLog: Int, dictionary: [UInt8]?) throws(ZstdError) {
    decompressor = try ZstdDecompressor(maxWindowLog: maxWindowLog, dictionary: dictionary)
  }

  /// Decompresses `input` to the end of `output`: `limit` bytes at most, and three quarters of them while
  /// there are as many.
  ///
  /// - Returns: the bytes of `input` taken; the rest is to be given again, with what follows it.
  /// - Throws: what zstd refuses, with the place of the frame in the input.
  package mutating func decompress(
    _ input: UnsafeRawBufferPointer, isLast: Bool, limit: Int, into output: ByteBuffer
  ) throws(ZstdError) -> Int {
    if kind == .unknown {
      guard input.count >= 4 || isLast else { return 0 }
      kind = Self.isFrame(input) ? .zstd : .plain
    }
    guard kind == .zstd else {
      let count = min(input.count, limit)
      output.append(
        UnsafeRawBufferPointer(rebasing: input[..<count]).assumingMemoryBound(to: UInt8.self))
      inputOffset += count
      byteOffset += count
      return count
    }
    var consumed = 0
    var produced = 0
    repeat {
      // Not all the room there is: the output would grow beyond what it ever holds at once.
      let left = limit - produced
      let room = UnsafeMutableRawBufferPointer(
        rebasing: output.room(min(left, 64 << 10)).prefix(left))
      let step: (consumed: Int, produced: Int, frameEnded: Bool)
      do throws(ZstdError) {
        step = try decompressor.decompress(
          UnsafeRawBufferPointer(rebasing: input[consumed...]), into: room)
      } catch {
        throw ZstdError(
          description: "frame at byte \(frames.last?.offset ?? 0) of the input: \(error)")
      }
      output.advance(step.produced)
      consumed += step.consumed
      produced += step.produced
      inputOffset += step.consumed
      byteOffset += step.produced
      if step.consumed > 0 || step.produced > 0 { isWithinFrame = !step.frameEnded }
      if step.frameEnded { frameStarts() }
      mayHoldMore = step.produced == room.count
    } while produced < limit - limit / 4 && (consumed < input.count || mayHoldMore)
    return consumed
  }

  /// Whether the input, if it ended here, ended with a whole zstd frame.
  package var endsWithFrame: Bool { kind == .zstd && !isWithinFrame && !mayHoldMore }

  /// Checks that the input did not end within a frame.
  package func finish() throws(ZstdError) {
    if kind == .zstd, isWithinFrame, let frame = frames.last {
      throw ZstdError(
        description: "frame at byte \(frame.offset) of the input: "
          + "expected the rest of the zstd frame, found the end")
    }
  }

  /// The place of a byte of the stream in the input; places may only be asked for in order.
  package mutating func position(atByte offset: Int, records: Int) -> StreamPosition {
    let next = frames.firstIndex { $0.byteOffset > offset } ?? frames.endIndex
    frames.removeFirst(max(0, next - 1))
    return StreamPosition(
      records: records, byteOffset: offset, frameOffset: frames[0].offset,
      byteOffsetInFrame: offset - frames[0].byteOffset)
  }

  // MARK: Going on at a place of an earlier run

  /// The offset in the input from which the bytes lead to `place`: of its frame, or of its byte where
  /// the input is not compressed. Nil where that is behind us, so that what follows leads there anyway,
  /// and before the first bytes have shown what the input is.
  package func offset(toSeek place: StreamPosition) -> Int? {
    let offset: Int? =
      switch kind {
      case .unknown: nil
      case .plain: place.byteOffset
      case .zstd: place.frameOffset
      }
    return offset.flatMap { $0 > inputOffset ? $0 : nil }
  }

  /// Expects the input to go on at `offset(toSeek: place)`.
  ///
  /// - Returns: the offset in the stream of the next byte given.
  package mutating func seek(to place: StreamPosition) -> Int {
    if kind == .zstd {
      decompressor.reset()
      inputOffset = place.frameOffset
      byteOffset = place.byteOffset - place.byteOffsetInFrame
      frames = [Frame(offset: inputOffset, byteOffset: byteOffset)]
    } else {
      inputOffset = place.byteOffset
      byteOffset = place.byteOffset
    }
    isWithinFrame = false
    mayHoldMore = false
    return byteOffset
  }

  /// Checks, where the stream has come to the byte of a place of an earlier run, that it is the same
  /// place in the input. Places may only be asked for in order.
  package mutating func check(_ place: StreamPosition) throws(RecordFault) {
    let found = position(atByte: place.byteOffset, records: place.records)
    // Between two frames the place may be given as the end of the first or as the start of the second.
    let isSame =
      found.byteOffsetInFrame == place.byteOffsetInFrame || found.byteOffsetInFrame == 0
      || place.byteOffsetInFrame == 0
    guard isSame, kind == .zstd || place.frameOffset == 0 else {
      throw RecordFault(
        expected: "\(place.byteOffsetInFrame) bytes in the frame at byte \(place.frameOffset)",
        found: "other frames")
    }
  }

  private mutating func frameStarts() {
    // An empty frame holds no place of the stream.
    if frames.last?.byteOffset == byteOffset { frames.removeLast() }
    frames.append(Frame(offset: inputOffset, byteOffset: byteOffset))
  }

  private static func isFrame(_ input: UnsafeRawBufferPointer) -> Bool {
    guard input.count >= 4 else {
      // What ends within the magic number is a broken frame; one byte of it is an opening bracket.
      return input.count > 1 && [0x28, 0xB5, 0x2F].starts(with: input)
    }
    let magic = UInt32(littleEndian: input.loadUnaligned(as: UInt32.self))
    return magic == 0xFD2F_B528 || magic & 0xFFFF_FFF0 == 0x184D_2A50
  }
}
