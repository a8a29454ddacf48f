internal import Glibc

/// Finds the lines of a stream in a window that grows at its end.
///
/// Invariant: the first `scannedCount` bytes of the requested line contain no newline. So each byte is scanned once,
/// even if the line arrives byte by byte.
struct LineCutter {
  enum Line {
    /// A whole line. Its newline, if it has one, is the last byte.
    case whole(Range<Int>)
    /// The window ends before the line does.
    case incomplete
    /// The line has more bytes than the limit, without its newline.
    case tooLong
    /// The stream has no more lines.
    case none
  }

  let limit: Int
  private var scannedCount = 0

  init(limit: Int) {
    self.limit = limit
  }

  /// The line that starts at `start`. `start` must stay the same until a whole line was returned.
  mutating func line(at start: Int, of window: InputWindow) -> Line {
    let bytes = window.bytes
    guard let base = bytes.baseAddress, start < bytes.count else {
      return window.isLast ? .none : .incomplete
    }
    // One byte more than the limit tells whether the line fits.
    let scanEnd = bytes.count - start > limit ? start + limit + 1 : bytes.count
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
