internal import Records
internal import Synchronization

/// Compresses and decompresses single buffers of record batches: a length of 8 bytes, and then one frame, or the bytes
/// themselves if the length is -1.
final class ArrowBuffers: Sendable {
  /// The most bytes by which a decompressed buffer may be longer than its values need.
  static let greatestPadding = 64
  /// Room after the last decompressed buffer, with which liblz4 copies nothing: a block of the usual size.
  static let slack = 64 << 10
  private static let zstdLevel = 1
  fileprivate static let lengthBytes = 8

  private let zstd: ZstdFrames
  private let lz4: LZ4Frames

  init() throws(CompressionError) {
    zstd = try ZstdFrames(level: Self.zstdLevel)
    lz4 = try LZ4Frames()
  }

  /// The contents of a buffer after its length.
  private struct Contents {
    var bytes: UnsafeRawBufferPointer
    /// Whether they are not compressed.
    var isStored: Bool
    /// The number of bytes after decompressing.
    var count: Int
  }

  /// Decompresses a buffer to the start of `output`, which has room for `needed` bytes and `greatestPadding`.
  func open(
    _ buffer: UnsafeRawBufferPointer, _ compression: ArrowCompression, needed: Int,
    into output: UnsafeMutableRawBufferPointer
  ) throws(RecordFault) {
    guard
      let contents = try contents(of: buffer, needed: needed, most: needed + Self.greatestPadding)
    else { return }
    guard !contents.isStored else {
      return output.copyMemory(from: UnsafeRawBufferPointer(rebasing: contents.bytes[..<needed]))
    }
    try decompress(contents, compression, into: output)
  }

  /// The bytes of a compressed buffer, of which `needed` are used.
  ///
  /// - Parameter most: the most bytes that it may have; nil if `needed` tells.
  func open(
    _ buffer: UnsafeRawBufferPointer, _ compression: ArrowCompression, needed: Int,
    most: Int? = nil
  ) throws(RecordFault) -> [UInt8] {
    guard
      let contents = try contents(
        of: buffer, needed: needed, most: most ?? needed + Self.greatestPadding)
    else { return [] }
    if contents.isStored {
      return Array(
        most == nil ? UnsafeRawBufferPointer(rebasing: contents.bytes[..<needed]) : contents.bytes)
    }
    var fault: RecordFault?
    let bytes = [UInt8](unsafeUninitializedCapacity: contents.count) { memory, count in
      do throws(RecordFault) {
        try decompress(contents, compression, into: UnsafeMutableRawBufferPointer(memory))
        count = contents.count
      } catch {
        fault = error
      }
    }
    if let fault { throw fault }
    return bytes
  }

  private func contents(
    of buffer: UnsafeRawBufferPointer, needed: Int, most: Int
  ) throws(RecordFault) -> Contents? {
    guard buffer.count >= Self.lengthBytes else {
      guard buffer.isEmpty, needed == 0 else {
        throw RecordFault(
          expected: "a compressed Arrow buffer of \(needed) bytes", found: "\(buffer.count) bytes")
      }
      return nil
    }
    let length = Int64(littleEndian: buffer.loadUnaligned(as: Int64.self))
    let rest = UnsafeRawBufferPointer(rebasing: buffer[Self.lengthBytes...])
    let isStored = length == -1
    let count = isStored ? Int64(rest.count) : length
    guard count >= Int64(needed), isStored || count <= Int64(most) else {
      throw RecordFault(
        expected:
          "an Arrow buffer of \(count > most ? "at most \(most)" : "\(needed)") bytes after "
          + "decompressing", found: "\(count)")
    }
    return Contents(bytes: rest, isStored: isStored, count: Int(count))
  }

  private func decompress(
    _ contents: Contents, _ compression: ArrowCompression,
    into output: UnsafeMutableRawBufferPointer
  ) throws(RecordFault) {
    do throws(CompressionError) {
      switch compression {
      case .zstd:
        try zstd.decompress(
          contents.bytes, into: UnsafeMutableRawBufferPointer(rebasing: output[..<contents.count]))
      case .lz4Frame:
        try lz4.decompress(contents.bytes, into: output, byteCount: contents.count)
      case .none: preconditionFailure("a buffer that is not compressed")
      }
    } catch {
      throw RecordFault(expected: "an Arrow buffer that can be decompressed", found: "\(error)")
    }
  }

  /// The room that a buffer of so many bytes may need.
  static func bound(of byteCount: Int, _ compression: ArrowCompression) -> Int {
    switch compression {
    case .none: byteCount
    case .lz4Frame: lengthBytes + max(byteCount, LZ4Frames.bound(of: byteCount))
    case .zstd: lengthBytes + max(byteCount, ZstdFrames.bound(of: byteCount))
    }
  }

  /// Compresses bytes to one frame at the start of `room`.
  ///
  /// - Returns: its size; nil without memory for it.
  fileprivate func compress(
    _ bytes: UnsafeRawBufferPointer, _ compression: ArrowCompression,
    into room: UnsafeMutableRawBufferPointer
  ) -> Int? {
    do throws(CompressionError) {
      return switch compression {
      case .lz4Frame: try lz4.compress(bytes, into: room)
      case .zstd, .none: try zstd.compress(bytes, into: room)
      }
    } catch {
      return nil
    }
  }
}

/// Writes the buffers of a new body one after another.
struct ArrowBodyRoom {
  private let memory: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  /// The bytes that `write` writes, at most `capacity`.
  static func bytes(capacity: Int, _ write: (inout ArrowBodyRoom) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: capacity) { memory, count in
      var room = ArrowBodyRoom(memory: UnsafeMutableRawBufferPointer(memory))
      write(&room)
      count = room.count
    }
  }

  private init(memory: UnsafeMutableRawBufferPointer) { self.memory = memory }

  private func rest(from offset: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: memory[offset...])
  }

  /// Adds zeros until the count is a multiple of `alignment`, a power of two.
  mutating func pad(to alignment: Int) {
    let end = (count + alignment - 1) & ~(alignment - 1)
    for index in count..<end { memory[index] = 0 }
    count = end
  }

  /// Appends bytes as they are.
  mutating func append(_ bytes: ArraySlice<UInt8>) {
    bytes.withUnsafeBytes { rest(from: count).copyMemory(from: $0) }
    count += bytes.count
  }

  /// Appends a buffer. Stores it as it is if a frame would not be smaller, or without compressors.
  mutating func append(
    _ bytes: ArraySlice<UInt8>, _ compression: ArrowCompression, by buffers: ArrowBuffers?
  ) {
    guard compression != .none, !bytes.isEmpty else { return append(bytes) }
    let start = count + ArrowBuffers.lengthBytes
    let frame = bytes.withUnsafeBytes {
      buffers?.compress($0, compression, into: rest(from: start))
    }
    let isSmaller = frame.map { $0 < bytes.count } ?? false
    memory.storeBytes(
      of: Int64(isSmaller ? bytes.count : -1).littleEndian, toByteOffset: count, as: Int64.self)
    count = start
    if isSmaller, let frame { count += frame } else { append(bytes) }
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
