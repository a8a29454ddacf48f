internal import Glibc

// Invariant: 0 <= start <= end <= capacity; the bytes start ..< end are initialised.

/// A growing run of bytes that is filled at its end and consumed from its start.
///
/// It is a reference so that its memory can be reused for the next batch, and it is used by one
/// stage at a time.
package final class ByteBuffer: @unchecked Sendable {
  // @unchecked because a buffer belongs to one stage, and a stage is run by one thread at a time.

  /// Of the memory, in bytes. What the kernel copies to the start of a buffer, as every read does, it
  /// copies four times as fast there as to the 16 bytes that the heap gives (docs/PERFORMANCE.md).
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

  /// The bytes that were filled in and not consumed; valid until the next change.
  package var readable: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: base + start, count: end - start)
  }

  /// The place for at least `count` more bytes; what is written there counts after `advance`.
  package func reserve(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    if capacity - end < count { makeRoom(for: count) }
    return base + end
  }

  /// The room behind the bytes, at least `count` of it.
  package func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: reserve(count), count: capacity - end)
  }

  /// Says that `count` bytes were written to the reserved place.
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
