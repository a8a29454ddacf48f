package import Records

// Invariants:
// - `frames` ascend. The last frame that starts at or before the offset last asked for is kept.
// - `inputOffset` and `byteOffset` are the offsets of the next byte, compressed and decompressed.

/// Decompresses the bytes of a split, if they are compressed.
///
/// The first four bytes tell: a zstd frame (or a skippable frame) is decompressed, anything else is passed
/// on. Frames that follow one another are one stream.
package struct InputDecompressor: Sendable {
  private enum Kind {
    case unknown
    case plain
    case zstd
  }

  /// The offsets at which a frame starts, compressed and decompressed.
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

  /// - Parameters:
  ///   - container: where in the compressed bytes the first one given is; nil for the start of the split,
  ///     and for bytes that are not compressed.
  ///   - byteOffset: the decompressed bytes before the cursor from which the split is read.
  package init(
    maxWindowLog: Int, dictionary: [UInt8]?, at container: ContainerOffset? = nil,
    byteOffset: Int = 0
  ) throws(ZstdError) {
    decompressor = try ZstdDecompressor(maxWindowLog: maxWindowLog, dictionary: dictionary)
    if let container {
      kind = .zstd
      inputOffset = container.offset
      self.byteOffset = byteOffset - container.bytesWithin
      frames = [Frame(offset: inputOffset, byteOffset: self.byteOffset)]
    } else if byteOffset > 0 {
      kind = .plain
      inputOffset = byteOffset
      self.byteOffset = byteOffset
    }
  }

  /// The offset of the next decompressed byte: before the cursor, as long as bytes of its frame precede it.
  package var nextByteOffset: Int { byteOffset }

  /// Decompresses `input` to the end of `output`: `limit` bytes at most, and three quarters of them while
  /// there are as many.
  ///
  /// - Returns: the bytes of `input` taken; the rest is to be given again, with what follows it.
  /// - Throws: for bytes that zstd refuses, with the offset of the frame.
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

  /// The start of what compressed bytes hold, given their first ones; nil if they are not compressed, or in
  /// no way that is known.
  package static func start(
    of bytes: [UInt8], maxWindowLog: Int, dictionary: [UInt8]?
  ) -> [UInt8]? {
    let output = ByteBuffer()
    guard
      var decompressor = try? InputDecompressor(maxWindowLog: maxWindowLog, dictionary: dictionary),
      (try? bytes.withUnsafeBytes {
        try decompressor.decompress($0, isLast: true, limit: 4096, into: output)
      }) != nil, decompressor.kind == .zstd, output.count > 0
    else { return nil }
    return Array(output.readable)
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

  /// The position of a decompressed byte; may only be asked for in order.
  package mutating func position(atByte offset: Int, records: Int) -> StreamPosition {
    if frames.count > 1 {
      let next = frames.firstIndex { $0.byteOffset > offset } ?? frames.endIndex
      frames.removeFirst(max(0, next - 1))
    }
    return StreamPosition(
      records: records, byteOffset: offset, frameOffset: frames[0].offset,
      byteOffsetInFrame: offset - frames[0].byteOffset)
  }

  /// Where decompressing starts to come to a position; nil for bytes that are not compressed.
  package func container(of position: StreamPosition) -> ContainerOffset? {
    guard kind == .zstd else { return nil }
    return ContainerOffset(offset: position.frameOffset, bytesWithin: position.byteOffsetInFrame)
  }

  private mutating func frameStarts() {
    // No byte of the stream is in an empty frame.
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
