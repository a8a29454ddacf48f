import Foundation
import Testing

@testable import Codecs
@testable import Records

/// The Arrow files that `Tests/Oracles/arrow/make_golden.py` wrote.
enum ArrowGolden {
  static let streams = [
    "pyarrow-none.arrows", "pyarrow-zstd.arrows", "pyarrow-lz4.arrows", "pyarrow-legacy.arrows",
    "pyarrow-deltas.arrows", "polars-newest-lz4.arrows", "pandas.arrows", "duckdb.arrows",
  ]
  static let files = [
    "pyarrow-none.arrow", "pyarrow-zstd.arrow", "pyarrow-lz4.arrow", "polars-newest-none.arrow",
    "polars-oldest-zstd.arrow", "polars-lazy.arrow", "pandas.arrow",
  ]
  /// In each file.
  static let records = 72

  static func bytes(_ name: String) throws -> [UInt8] {
    let url = try #require(Bundle.module.resourceURL).appending(path: "Golden/arrow/" + name)
    return [UInt8](try Data(contentsOf: url))
  }

  /// A value of feature `x`, as `arrow_files.py` makes it; nil is null.
  static func x(_ index: Int) -> Double? {
    index % 7 == 6 ? nil : Double(index * 37 % 101) * 0.25 - 7
  }

  /// A value of feature `y`, likewise.
  static func y(_ index: Int) -> Double? {
    index % 5 == 4 ? nil : Double(index * 37 % 101) * -0.75 - 7
  }
}

/// A message as it stands in a stream.
struct ArrowPart {
  var frame: ArrowFrame
  var kind: ArrowMessage.Kind
  var metadata: [UInt8]
  var body: [UInt8]
}

/// The messages of a stream up to its end mark or its end.
func arrowParts(_ stream: [UInt8]) throws -> [ArrowPart] {
  var parts: [ArrowPart] = []
  var rest = stream[...]
  while !rest.isEmpty {
    let bytes = Array(rest)
    let start = try FlatBytes.read(bytes) { view throws(RecordFault) in
      try ArrowFrame.start(of: view)
    }
    guard case .message(let prefixBytes, let metadataBytes) = start else { break }
    let metadata = Array(bytes[prefixBytes..<prefixBytes + metadataBytes])
    let (kind, bodyBytes) = try FlatBytes.read(metadata) { view throws(RecordFault) in
      let message = try ArrowMessage(view, bodyLimit: 1 << 30)
      return (message.kind, message.bodyBytes)
    }
    let frame = ArrowFrame(
      prefixBytes: prefixBytes, metadataBytes: metadataBytes, bodyBytes: bodyBytes)
    parts.append(
      ArrowPart(
        frame: frame, kind: kind, metadata: metadata,
        body: Array(bytes[frame.headBytes..<frame.byteCount])))
    rest = rest.dropFirst(frame.byteCount)
  }
  return parts
}

/// The schema that a schema message holds.
func arrowSchema(
  _ metadata: [UInt8], limits: DecoderLimits = DecoderLimits()
) throws(RecordFault) -> ArrowSchema {
  try FlatBytes.read(metadata) { bytes throws(RecordFault) in
    let message = try ArrowMessage(bytes, bodyLimit: 0)
    return try ArrowSchema(
      message.header, hasUnionValidity: message.hasUnionValidity, limits: limits)
  }
}

func arrowFeatures(
  _ patterns: [String], of schema: ArrowSchema
) throws(RecordFault) -> ArrowFeatures {
  try ArrowFeatures(patterns.map { FeaturePattern($0) }, of: schema, limits: DecoderLimits())
}

func arrowLayout(
  _ metadata: [UInt8], _ schema: ArrowSchema, _ features: ArrowFeatures
) throws(RecordFault) -> ArrowBatchLayout {
  try FlatBytes.read(metadata) { bytes throws(RecordFault) in
    try ArrowBatchLayout(
      ArrowMessage(bytes, bodyLimit: 1 << 30), schema: schema, features: features,
      byteLimit: 1 << 30)
  }
}

/// Changes a number in a metadata flatbuffer.
func arrowSet(_ value: some FixedWidthInteger, at place: Int, in metadata: [UInt8]) -> [UInt8] {
  var writer = FlatWriter(metadata)
  writer.set(value, at: place)
  return writer.bytes
}
