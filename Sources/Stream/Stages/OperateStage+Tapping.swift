internal import BatchNormalization
internal import Codecs
internal import Operators
internal import Records

/// Shows records to the clients of `StreamTaps`: as they were read, and as the operators leave them.
extension OperateStage {
  /// The first records of a piece, as they were read, if a client is to see them; usually none.
  @inline(__always)
  func tapped(_ piece: Range<BlockOffset>, of block: RecordBlock) -> [TappedRecord] {
    guard let count = taps?.wantedRecords(at: times.now), count > 0 else { return [] }
    return read(min(count, piece.upperBound.records - piece.lowerBound.records), of: piece, block)
  }

  private func read(
    _ count: Int, of piece: Range<BlockOffset>, _ block: RecordBlock
  ) -> [TappedRecord] {
    let names = operators?.schema.names ?? []
    let shown = min(names.count, TappedRecord.mostFeatures)
    let first = piece.lowerBound.records
    return (first..<first + count).map { record in
      TappedRecord(
        record: block.place(of: record).record,
        features: Array(names.prefix(shown)), featuresLeftOff: names.count - shown,
        input: (0..<shown).map { block.columns[record: record, feature: $0] },
        inputPrecision: block.columns.precision, outputPrecision: configuration.precision)
    }
  }

  /// Adds to records what the operators have made of them, and shows them. Held records are shown when they leave.
  func showTapped(
    _ tapped: [TappedRecord], of piece: Range<BlockOffset>, _ block: RecordBlock,
    _ emission: BatchEmission
  ) {
    var written = block
    switch emission {
    case .held: return
    case .partly(let unnormalized): written.unnormalized = unnormalized
    case .normalized: break
    }
    let decoder = try? configuration.format.makeDecoder(configuration.decoding)
    let complete = tapped.enumerated().map { index, tapped in
      var tapped = tapped
      let record = piece.lowerBound.records + index
      tapped.output = tapped.input.indices.map { written.columns[record: record, feature: $0] }
      if let part = decoder?.parts(of: [record], in: written)?.first {
        addTexts(of: part, in: written, to: &tapped)
      }
      return tapped
    }
    taps?.show(complete)
  }

  private func addTexts(
    of part: RecordPart, in block: RecordBlock, to tapped: inout TappedRecord
  ) {
    guard part.bytes.count <= TappedRecord.mostTextBytes else { return }
    if configuration.format.isText, !part.bytes.isEmpty {
      tapped.inputText = withoutLineEnd(String(decoding: part.bytes, as: UTF8.self))
    }
    guard (configuration.outputFormat ?? configuration.format).isText, let encoder = units.encoder
    else { return }
    let output = ByteBuffer()
    let start = BlockOffset(records: part.record, payload: part.payload.lowerBound)
    let end = BlockOffset(records: part.record + 1, payload: part.payload.upperBound)
    encoder.encode(block.selecting(start..<end), into: output)
    guard output.count <= 2 * TappedRecord.mostTextBytes else { return }
    tapped.outputText = withoutLineEnd(String(decoding: output.readable, as: UTF8.self))
  }

  /// Drops bad records: their events leave with the records so far.
  mutating func drop(_ rejected: [RejectedRecord]) {
    taps?.show(rejected, at: times.now)
    units.add(rejected.map(StreamEvent.badRecord))
  }
}
