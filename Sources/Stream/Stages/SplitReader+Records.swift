internal import Codecs
internal import Records

/// The records of a split.
extension SplitReader {
  /// Why the decoder stopped, the bytes of a rejected record, and the progress.
  typealias Decoded = (outcome: DecodeOutcome, rejected: [UInt8], progress: DecodeProgress)

  /// Records that a record ends with the bytes so far, whatever they are.
  mutating func endRecord() {
    guard !decompressor.isCompressed else { return }
    boundaries.append(byteOffset + window.count + compressed.count)
  }

  /// Takes records into `block`, up to `limit`.
  ///
  /// - Parameters:
  ///   - prologue: that of the stream.
  ///   - end: a byte offset before which a record ends, if the decoder is not to look further.
  /// - Returns: why the decoder stopped, the bytes of a rejected record, and the progress.
  mutating func decode(
    into block: inout RecordBlock, limit: Int, prologue: [UInt8]?, upTo end: Int? = nil
  ) -> Decoded {
    var progress = DecodeProgress()
    progress.prologue = prologue
    let view = decoderView(upTo: end)
    let start = block.end
    var outcome = decoder.decode(view, into: &block, limit: limit, progress: &progress)
    if case .failed(let fault) = outcome, view.isLast, !boundaries.isEmpty {
      // Only this message is lost: the next one begins after it.
      outcome = .rejected(fault, byteCount: view.bytes.count - progress.consumed)
      progress.consumed = view.bytes.count
      progress.records += 1
    }
    var rejected: [UInt8] = []
    if case .rejected(_, let byteCount) = outcome {
      rejected = Array(view.bytes[progress.consumed - byteCount..<progress.consumed])
    }
    if block.columns.count > start.records {
      notePlace(of: &block, from: start, progress, rejectedBytes: rejected.count)
    }
    records += progress.records
    byteOffset += progress.consumed
    window.consume(progress.consumed)
    if progress.records > 0 { grown = (0, 0) }
    while let first = boundaries.first, first <= byteOffset { boundaries.removeFirst() }
    return (outcome, rejected, progress)
  }

  /// Notes the place of the records that were just taken. Those of a unit have the offset of the unit.
  private func notePlace(
    of block: inout RecordBlock, from start: BlockOffset, _ progress: DecodeProgress,
    rejectedBytes: Int
  ) {
    var place = RecordPlace(split: shownName, record: records + 1)
    // Not if the payload lacks bytes of the split, or has others.
    let countsBytes =
      progress.unitStart == nil
      && block.payload.end.bytes - start.payload.bytes == progress.consumed - rejectedBytes
    if countsBytes { place.byteOffset = byteOffset }
    if let unitStart = progress.unitStart { place.byteOffset = byteOffset + unitStart }
    block.notePlace(place, from: start, countsBytes: countsBytes)
  }

  /// The bytes that the decoder may look at: those up to the first boundary, or up to `end` if that is before it.
  private func decoderView(upTo end: Int?) -> InputWindow {
    let boundary = boundaries.first.map { $0 - byteOffset } ?? .max
    if let end, end - byteOffset < min(window.count, boundary) {
      let bytes = UnsafeBufferPointer(rebasing: window.readable[..<(end - byteOffset)])
      return InputWindow(bytes: bytes, isLast: false)
    }
    if boundary <= window.count {
      let bytes = UnsafeBufferPointer(rebasing: window.readable[..<boundary])
      return InputWindow(bytes: bytes, isLast: true)
    }
    return InputWindow(bytes: window.readable, isLast: hasAllBytes)
  }
}
