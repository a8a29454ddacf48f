internal import Glibc

// Invariant: 0 <= start <= end <= capacity; the bytes start ..< end are initialised.

/// A growing buffer. Bytes are added at its end and consumed from its start.
///
/// It is a reference type, so that the next batch can reuse its memory. One stage at a time uses it.
package final class ByteBuffer: @unchecked Sendable {
  // @unchecked because a buffer belongs to one stage, and one thread at a time runs a stage.

  /// The alignment of the memory, in bytes. The kernel copies to a buffer with this alignment four times as fast as
  /// to one with the 16 bytes of the heap (docs/PERFORMANCE.md).
  private static let alignment = 64

  private var base: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  private var start = 0
  private var end = 0

  package init(capacity: Int = 4096) {
    self.capacity = max(capacity, 64)
    base = Self.allocate(self.capacity)
  }

  private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: alignment)
      .bindMemory(to: UInt8.self, capacity: capacity)
  }

  deinit {
    base.deallocate()
  }

  package var count: Int { end - start }

  /// The bytes that were added and not consumed. Valid until the next change.
  package var readable: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: base + start, count: end - start)
  }

  /// The memory for at least `count` more bytes. Written bytes count after `advance`.
  package func reserve(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    if capacity - end < count { makeRoom(for: count) }
    return base + end
  }

  /// The free memory after the bytes, at least `count` bytes.
  package func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: reserve(count), count: capacity - end)
  }

  /// The first `count` bytes of the free memory after the bytes.
  package func room(exactly count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: reserve(count), count: count)
  }

  /// Counts `count` bytes that were written to the reserved memory.
  package func advance(_ count: Int) {
    precondition(count >= 0 && end + count <= capacity)
    end += count
  }

  /// Drops `count` bytes from the start.
  package func consume(_ count: Int) {
    precondition(count >= 0 && start + count <= end)
    start += count
    if start == end { removeAll() }
  }

  package func removeAll() {
    start = 0
    end = 0
  }

  package func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let source = bytes.baseAddress else { return }
    memcpy(reserve(bytes.count), source, bytes.count)
    end += bytes.count
  }

  package func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { append($0) }
  }

  package func append(_ bytes: ArraySlice<UInt8>) {
    bytes.withUnsafeBufferPointer { append($0) }
  }

  /// Appends some of the bytes that another buffer holds.
  package func append(_ bytes: Range<Int>, of other: ByteBuffer) {
    append(UnsafeBufferPointer(rebasing: other.readable[bytes]))
  }

  package func append(_ byte: UInt8) {
    reserve(1).pointee = byte
    end += 1
  }

  private func makeRoom(for count: Int) {
    let used = end - start
    if used + count <= capacity, start >= used {
      memcpy(base, base + start, used)
    } else {
      capacity = max(used + count, 2 * capacity)
      let larger = Self.allocate(capacity)
      memcpy(larger, base + start, used)
      base.deallocate()
      base = larger
    }
    start = 0
    end = used
  }
}
