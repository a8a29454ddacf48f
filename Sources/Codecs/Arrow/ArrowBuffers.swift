internal import Records
internal import Synchronization

/// Compresses and decompresses single buffers of record batches: a length of 8 bytes, and then one frame, or the bytes
/// themselves if the length is -1.
final class ArrowBuffers: Sendable {
  private static let zstdLevel = 1
  private static let lengthBytes = 8
  /// The most bytes by which a decompressed buffer may be longer than its values need.
  private static let greatestPadding = 64

  private let zstd: ZstdFrames
  private let lz4: LZ4Frames
  /// Takes a compressed buffer, since its size is known only after compressing.
  private let frame = ByteBuffer()

  init() throws(CompressionError) {
    zstd = try ZstdFrames(level: Self.zstdLevel)
    lz4 = try LZ4Frames()
  }

  /// The bytes of a compressed buffer, of which `needed` are used.
  ///
  /// - Parameter most: the most bytes that it may have; nil if `needed` tells.
  func open(
    _ buffer: UnsafeRawBufferPointer, _ compression: ArrowCompression, needed: Int,
    most: Int? = nil
  ) throws(RecordFault) -> [UInt8] {
    guard buffer.count >= Self.lengthBytes else {
      guard buffer.isEmpty, needed == 0 else {
        throw RecordFault(
          expected: "a compressed Arrow buffer of \(needed) bytes", found: "\(buffer.count) bytes")
      }
      return []
    }
    let length = Int64(littleEndian: buffer.loadUnaligned(as: Int64.self))
    let rest = UnsafeRawBufferPointer(rebasing: buffer[Self.lengthBytes...])
    let count = length == -1 ? Int64(rest.count) : length
    let isStored = length == -1
    guard count >= Int64(needed),
      isStored || count <= Int64(most ?? needed + Self.greatestPadding)
    else {
      throw RecordFault(
        expected: "an Arrow buffer of \(needed) bytes after decompressing", found: "\(count)")
    }
    if isStored {
      return Array(most == nil ? UnsafeRawBufferPointer(rebasing: rest[..<needed]) : rest)
    }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    // A closure of `withUnsafeMutableBytes` would lose the type of the error.
    let outcome = bytes.withUnsafeMutableBytes { output in
      Result { () throws(CompressionError) in
        switch compression {
        case .zstd: try zstd.decompress(rest, into: output)
        case .lz4Frame: try lz4.decompress(rest, into: output)
        case .none: preconditionFailure("a buffer that is not compressed")
        }
      }
    }
    do throws(CompressionError) {
      try outcome.get()
    } catch {
      throw RecordFault(expected: "an Arrow buffer that can be decompressed", found: "\(error)")
    }
    return bytes
  }

  /// Appends a buffer to `output`. Stores it as it is if a frame would not be smaller, or without compressors.
  static func append(
    _ bytes: [UInt8], _ compression: ArrowCompression, to output: ByteBuffer,
    by buffers: ArrowBuffers?
  ) {
    guard compression != .none, !bytes.isEmpty else { return output.append(bytes) }
    let frame = bytes.withUnsafeBytes { buffers?.frame(of: $0, compression) }
    let isSmaller = frame.map { $0.count < bytes.count } ?? false
    withUnsafeBytes(of: Int64(isSmaller ? bytes.count : -1).littleEndian) {
      output.append($0.bindMemory(to: UInt8.self))
    }
    if isSmaller, let frame { output.append(frame.readable) } else { output.append(bytes) }
  }

  /// The bytes as one frame; nil without memory for it.
  private func frame(
    of bytes: UnsafeRawBufferPointer, _ compression: ArrowCompression
  ) -> ByteBuffer? {
    frame.removeAll()
    do throws(CompressionError) {
      switch compression {
      case .lz4Frame: try lz4.compress(bytes, into: frame)
      case .zstd, .none: try zstd.compress(bytes, into: frame)
      }
      return frame
    } catch {
      return nil
    }
  }
}

/// The idle `ArrowBuffers` of all workers.
enum ArrowBuffersPool {
  /// The most that are kept.
  private static let mostIdle = 16
  private static let idle = Mutex<[ArrowBuffers]>([])

  /// - Returns: nil without memory for a new one.
  static func take() -> ArrowBuffers? {
    idle.withLock { $0.popLast() } ?? (try? ArrowBuffers())
  }

  static func giveBack(_ buffers: ArrowBuffers) {
    idle.withLock { if $0.count < mostIdle { $0.append(buffers) } }
  }
}
