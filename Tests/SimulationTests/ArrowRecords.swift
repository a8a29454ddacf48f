import Configuration
import Records
import Synthetic

@testable import Codecs

/// An Arrow stream of two features in record batches of a few rows, some of them empty. One value in twelve is
/// missing, and one in twenty infinite.
func arrowStream(records: Int, _ random: inout SplitMix64) throws -> [UInt8] {
  let output = ByteBuffer()
  var options = EncoderOptions(schema: try FeatureSchema(["f0", "f1"]), prologue: nil)
  options.precision = .float64
  let table = try ArrowTable(options)
  output.append(ArrowMetadata.framed(table.schemaMessage))
  var left = records
  while left > 0 {
    let rows = min(left, Int.random(in: 0...17, using: &random))
    left -= rows
    var columns = FeatureColumns(featureCount: 2, capacity: max(1, rows), precision: .float64)
    columns.count = rows
    for cell in 0..<2 * rows {
      let value = Double(Int.random(in: -999...999, using: &random)) / 8
      let kind = Int.random(in: 0..<60, using: &random)
      columns.withFloat64Columns { $0[cell] = kind < 5 ? .nan : kind < 8 ? .infinity : value }
    }
    table.appendBatch(RecordBlock(columns: columns), to: output)
  }
  if Bool.random(using: &random) { output.append(ArrowEncoder.endMark) }
  return Array(output.readable)
}

/// The records of an Arrow stream or file as lines of JSON, wherever its record batches end; other bytes as they are.
func arrowLines(_ bytes: [UInt8]) throws -> [UInt8] {
  guard bytes.starts(with: ArrowFooter.magic) || bytes.first == 0xFF else { return bytes }
  let stream = bytes.starts(with: ArrowFooter.fileStart) ? Array(bytes.dropFirst(8)) : bytes
  var options = DecoderOptions()
  options.keepsFormat = false
  options.keepsFields = true
  var decoder = try RecordFormat.arrow.makeDecoder(options)
  return try stream.withUnsafeBufferPointer { stream in
    guard let opening = try decoder.open(InputWindow(bytes: stream, isLast: true)) else {
      return []
    }
    var encoding = EncoderOptions(schema: opening.schema, prologue: nil)
    encoding.scalars = RecordFormat.arrow.scalars?(opening, SettingValues())
    let encoder = try RecordFormat.ndjson.makeEncoder(encoding)
    let lines = ByteBuffer()
    var rest = UnsafeBufferPointer(rebasing: stream[decoder.byteCount(of: opening)...])
    while true {
      var block = RecordBlock(
        columns: FeatureColumns(
          featureCount: opening.schema.count, capacity: 64, precision: .float64))
      var progress = DecodeProgress()
      let outcome = decoder.decode(
        InputWindow(bytes: rest, isLast: true), into: &block, limit: 64, progress: &progress)
      rest = UnsafeBufferPointer(rebasing: rest[progress.consumed...])
      encoder.encode(block, into: lines)
      switch outcome {
      case .limitReached, .unitEnded, .rejected: continue
      // The footer of a file follows its end mark.
      case .failed, .needsInput: return Array(lines.readable)
      }
    }
  }
}

/// The record batches of an Arrow stream or file, without its schema and its end; other bytes as they are.
func arrowBatches(_ bytes: [UInt8]) throws -> [UInt8] {
  guard bytes.starts(with: ArrowFooter.magic) || bytes.first == 0xFF else { return bytes }
  var rest = bytes.starts(with: ArrowFooter.fileStart) ? bytes.dropFirst(8) : bytes[...]
  var batches: [UInt8] = []
  while !rest.isEmpty {
    let message = Array(rest)
    let frame = try FlatBytes.read(message) { view throws(RecordFault) -> ArrowFrame? in
      guard case .message(let frame, let found) = try ArrowMessage.next(in: view, bodyLimit: .max)
      else { return nil }
      if found.kind == .recordBatch { batches += message[..<frame.byteCount] }
      return frame
    }
    guard let frame else { break }
    rest = rest.dropFirst(frame.byteCount)
  }
  return batches
}
