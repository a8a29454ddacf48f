internal import Codecs
internal import Connectors
internal import Operators
internal import Records
internal import Storage

// Invariants:
// - `bytes` begins with the line at `cursor`; a line that was taken is not in it.
// - `found` is the first line of `bytes`, decoded.

/// Takes gradients out of lines of JSON.
struct GradientLines: GradientReader {
  private static let lineEnd = UInt8(ascii: "\n")

  private let split: SplitID
  private let bytes = ByteBuffer()
  /// The bytes of `bytes` in which there is no end of a line.
  private var searched = 0
  /// Whether a line is too long, so that its rest is dropped.
  private var isSkipping = false
  private var position: SplitCursor
  private var found: GradientFeed.Line?
  let isBroken = false

  init(_ split: SplitID, at start: SplitStart) {
    self.split = split
    position = SplitCursor(
      split: start.name, byteOffset: start.byteOffset, records: start.records)
  }

  var byteCount: Int { bytes.count }
  var settledOffset: Int { position.byteOffset }

  func cursor(in source: any Source) throws(FileError) -> SplitCursor {
    var cursor = position
    cursor.source = try source.mark(of: split, at: cursor.byteOffset)
    return cursor
  }

  mutating func append(_ added: inout ByteBuffer, endsRecord: Bool) {
    bytes.append(added.readable)
    added.removeAll()
  }

  mutating func end(dropsRest: Bool) {
    // The rest stays without an end, so that it never becomes a line.
    guard !dropsRest, bytes.count > 0, bytes.readable.last != Self.lineEnd else { return }
    bytes.append(Self.lineEnd)
  }

  mutating func next() -> GradientFeed.Line? {
    while found == nil {
      guard let end = lineEnd() else {
        if bytes.count > GradientFeed.mostLineBytes { skip() }
        return nil
      }
      if !isSkipping, isBlank(end) { pass(end + 1) } else { found = line(endingAt: end) }
    }
    return found
  }

  mutating func pass() {
    guard let line = found.take() else { return }
    pass(line.byteCount)
  }

  /// Moves to the next line.
  private mutating func pass(_ byteCount: Int) {
    bytes.consume(byteCount)
    searched = 0
    position.byteOffset += byteCount
    position.records += 1
  }

  /// Drops the beginning of a line that is too long.
  private mutating func skip() {
    isSkipping = true
    position.byteOffset += bytes.count
    bytes.removeAll()
    searched = 0
  }

  /// The number of bytes before the end of the first line; nil if the end is not there.
  private mutating func lineEnd() -> Int? {
    let end = bytes.readable[searched...].firstIndex(of: Self.lineEnd)
    searched = end ?? bytes.count
    return end
  }

  private func isBlank(_ end: Int) -> Bool {
    bytes.readable[..<end].allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }
  }

  private mutating func line(endingAt end: Int) -> GradientFeed.Line {
    let content: Result<[GradientLine], UpdateBodyError>
    if isSkipping || end > GradientFeed.mostLineBytes {
      content = .failure(
        UpdateBodyError("expected at most \(GradientFeed.mostLineBytes) bytes, found more"))
    } else {
      do throws(UpdateBodyError) {
        content = .success([try decodedObject(GradientLine.self, Array(bytes.readable[..<end]))])
      } catch {
        content = .failure(error)
      }
    }
    isSkipping = false
    return GradientFeed.Line(number: position.records + 1, byteCount: end + 1, content: content)
  }
}
