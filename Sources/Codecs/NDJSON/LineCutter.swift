internal import Glibc

/// Finds the lines of a stream in a window that grows at its end.
///
/// Invariant: the first `scannedCount` bytes of the line asked for hold no newline, so that a line
/// that comes byte by byte is looked through only once.
struct LineCutter {
  enum Line {
    /// A line whose newline, if it has one, is the last of these bytes.
    case whole(Range<Int>)
    /// The window ends before the line does.
    case incomplete
    /// The line has more bytes than the limit, its newline aside.
    case tooLong
    /// The stream has no more lines.
    case none
  }

  let limit: Int
  private var scannedCount = 0

  init(limit: Int) {
    self.limit = limit
  }

  /// The line that starts at `start`, which must be the same until a whole line was given.
  mutating func line(at start: Int, of window: InputWindow) -> Line {
    let bytes = window.bytes
    guard let base = bytes.baseAddress, start < bytes.count else {
      return window.isLast ? .none : .incomplete
    }
    // One byte more than the limit tells whether the line keeps it.
    let scanEnd = min(bytes.count, start + limit + 1)
    let scanStart = min(start + scannedCount, scanEnd)
    if let newline = memchr(base + scanStart, 0x0A, scanEnd - scanStart) {
      scannedCount = 0
      return .whole(start..<base.distance(to: newline.assumingMemoryBound(to: UInt8.self)) + 1)
    }
    scannedCount = scanEnd - start
    if scannedCount > limit { return .tooLong }
    guard window.isLast else { return .incomplete }
    scannedCount = 0
    return .whole(start..<bytes.count)
  }
}
