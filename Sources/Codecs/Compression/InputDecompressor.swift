package import Records

// Invariants:
// - `frames` ascend. The last frame that starts at or before the last requested offset is kept.
// - `inputOffset` and `byteOffset` are the compressed and the decompressed offset of the next byte.

/// Decompresses the bytes of a split, if they are compressed.
///
/// The first bytes decide: frames of a codec are decompressed; other bytes are passed on unchanged. Consecutive
/// frames are one stream.
package struct InputDecompressor: Sendable {
  private enum Contents {
    /// The first bytes were not seen yet. They decide.
    case unknown
    case plain
    /// Frames, by the cursor. The first bytes tell the codec.
    case unknownFrames
    case frames(any CompressionCodec)
  }

  /// The compressed and the decompressed offset at which a frame starts.
  private struct Frame {
    var offset: Int
    var byteOffset: Int
  }

  private let options: CodecOptions
  private let codecs: [any CompressionCodec.Type]
  private var contents = Contents.unknown
  private var frames = [Frame(offset: 0, byteOffset: 0)]
  private var isWithinFrame = false
  package private(set) var inputOffset = 0
  private var byteOffset = 0
  /// Whether the last call filled its output, so that more output may follow without more input.
  package private(set) var mayHoldMore = false

  /// - Parameters:
  ///   - container: the position of the first input byte in the compressed bytes. Nil at the start of the split, and
  ///     for bytes that are not compressed.
  ///   - byteOffset: the number of decompressed bytes before the cursor from which the split is read.
  ///   - isPlain: whether the bytes are known not to be compressed.
  package init(
    _ options: CodecOptions, at container: ContainerOffset? = nil, byteOffset: Int = 0,
    isPlain: Bool = false,
    codecs: [any CompressionCodec.Type] = BuiltInCodecs.all
  ) {
    self.options = options
    self.codecs = codecs
    if let container {
      contents = .unknownFrames
      inputOffset = container.offset
      self.byteOffset = byteOffset - container.bytesWithin
      frames = [Frame(offset: inputOffset, byteOffset: self.byteOffset)]
    } else if byteOffset > 0 || isPlain {
      contents = .plain
      inputOffset = byteOffset
      self.byteOffset = byteOffset
    }
  }

  /// The offset of the next decompressed byte. It is before the cursor while bytes of the cursor's frame precede it.
  package var nextByteOffset: Int { byteOffset }

  /// Decompresses `input` to the end of `output`: at most `limit` bytes, and at least three quarters of `limit` if
  /// there are as many.
  ///
  /// - Returns: the number of input bytes taken. Give the rest again, together with the bytes after it.
  /// - Throws: an error for bytes that the codec refuses, with the offset of the frame.
  package mutating func decompress(
    _ input: UnsafeRawBufferPointer, isLast: Bool, limit: Int, into output: ByteBuffer
  ) throws(CompressionError) -> Int {
    switch contents {
    case .unknown, .unknownFrames:
      guard input.count >= Magic.greatestCount || isLast else { return 0 }
      do throws(CompressionError) {
        try look(at: input)
      } catch {
        throw refused(error)
      }
      guard input.count > 0 else { return 0 }
      return try decompress(input, isLast: isLast, limit: limit, into: output)
    case .plain:
      let count = min(input.count, limit)
      output.append(
        UnsafeRawBufferPointer(rebasing: input[..<count]).assumingMemoryBound(to: UInt8.self))
      inputOffset += count
      byteOffset += count
      return count
    case .frames(var codec):
      // Removes the codec from `contents`, so that it has one owner and is not copied.
      contents = .plain
      defer { contents = .frames(codec) }
      return try decompress(input, limit: limit, by: &codec, into: output)
    }
  }

  /// Finds the codec of the first bytes.
  private mutating func look(at input: UnsafeRawBufferPointer) throws(CompressionError) {
    let codec = codecs.first { $0.magics.contains { $0.begins(input) } }
    if let codec {
      contents = .frames(try codec.init(options))
    } else if case .unknown = contents {
      contents = .plain
    } else if input.count > 0 {
      let names = codecs.map { $0.name }.joined(separator: ", ")
      throw CompressionError(description: "expected a frame of \(names), found other bytes")
    }
  }

  private mutating func decompress(
    _ input: UnsafeRawBufferPointer, limit: Int, by codec: inout any CompressionCodec,
    into output: ByteBuffer
  ) throws(CompressionError) -> Int {
    var consumed = 0
    var produced = 0
    repeat {
      // Limits the room, so that the output does not grow beyond the bytes that it holds at once.
      let left = limit - produced
      let room = UnsafeMutableRawBufferPointer(
        rebasing: output.room(min(left, 64 << 10)).prefix(left))
      let step: DecompressedPiece
      do throws(CompressionError) {
        step = try codec.decompress(
          UnsafeRawBufferPointer(rebasing: input[consumed...]), into: room)
      } catch {
        throw refused(error)
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

  private func refused(_ error: CompressionError) -> CompressionError {
    CompressionError(
      description: "frame at byte \(frames.last?.offset ?? 0) of the input: \(error)")
  }

  /// The first decompressed bytes, from the first compressed ones. Nil if the bytes are not compressed, or if no
  /// codec knows them.
  package static func start(of bytes: [UInt8], _ options: CodecOptions) -> [UInt8]? {
    let output = ByteBuffer()
    var decompressor = InputDecompressor(options)
    guard
      (try? bytes.withUnsafeBytes {
        try decompressor.decompress($0, isLast: true, limit: 4096, into: output)
      }) != nil, decompressor.isCompressed, output.count > 0
    else { return nil }
    return Array(output.readable)
  }

  /// Whether bytes begin as a frame of a codec does.
  package static func begins(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { start in
      BuiltInCodecs.all.contains { $0.magics.contains { $0.begins(start) } }
    }
  }

  /// Whether the bytes are known to be compressed.
  package var isCompressed: Bool {
    switch contents {
    case .unknown, .plain: false
    case .unknownFrames, .frames: true
    }
  }

  /// Whether the input so far ends with a whole frame.
  package var endsWithFrame: Bool { isCompressed && !isWithinFrame && !mayHoldMore }

  /// Checks that the input does not end inside a frame.
  package func finish() throws(CompressionError) {
    if case .frames(let codec) = contents, isWithinFrame {
      throw refused(
        CompressionError(
          description: "expected the rest of the \(type(of: codec).name) frame, found the end"))
    }
  }

  /// The position of a decompressed byte. Offsets must not decrease from call to call.
  package mutating func position(atByte offset: Int, records: Int) -> StreamPosition {
    if frames.count > 1 {
      let next = frames.firstIndex { $0.byteOffset > offset } ?? frames.endIndex
      frames.removeFirst(max(0, next - 1))
    }
    return StreamPosition(
      records: records, byteOffset: offset, frameOffset: frames[0].offset,
      byteOffsetInFrame: offset - frames[0].byteOffset)
  }

  /// The container offset for resuming at a position; nil for bytes that are not compressed.
  package func container(of position: StreamPosition) -> ContainerOffset? {
    guard isCompressed else { return nil }
    return ContainerOffset(offset: position.frameOffset, bytesWithin: position.byteOffsetInFrame)
  }

  /// The decompressed offset at which the frame of a byte ends; nil if that is not known yet.
  package func frameEnd(after offset: Int) -> Int? {
    frames.first { $0.byteOffset > offset }?.byteOffset
  }

  private mutating func frameStarts() {
    // An empty frame contains no byte of the stream.
    if frames.last?.byteOffset == byteOffset { frames.removeLast() }
    frames.append(Frame(offset: inputOffset, byteOffset: byteOffset))
  }
}
