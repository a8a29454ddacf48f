import Codecs
import Configuration
import Records
import Storage
import TestSupport

@testable import Stream

extension RecordFormat {
  /// The built-in format of a name; CSV for a name that is none.
  static func named(_ name: String) -> RecordFormat {
    BuiltInFormats.all.first { $0.name == name } ?? .csv
  }
}

/// Random records of one format, and the configuration that reads them.
struct TestStream {
  var bytes: [UInt8]
  var configuration: StreamConfiguration

  static let features = ["f0", "f1", "f2"]

  static let formats = ["csv", "raw", "ndjson"]

  init(_ format: String, records: Int, seed: UInt64) {
    configuration = StreamConfiguration(name: "test", format: .named(format))
    configuration.batch.size = 8
    configuration.badRecords = .deadLetter
    configuration.decoder.features = Self.features.map { FeaturePattern($0) }
    if format == "raw" { configuration.decoder.settings[RawSettings.columns] = Self.features.count }
    var random = SeededGenerator(seed: seed)
    bytes = RandomRecords(format, features: Self.features).bytes(records, using: &random)
  }
}

/// A CSV stream with a key and these columns of numbers.
func csv(_ columns: [(name: String, values: [Double])]) -> [UInt8] {
  var text = "key," + columns.map(\.name).joined(separator: ",") + "\n"
  for record in columns[0].values.indices {
    let numbers = columns.map { "\($0.values[record])" }
    text += "k\(record)," + numbers.joined(separator: ",") + "\n"
  }
  return Array(text.utf8)
}

/// A configuration for `csv(_:)`.
func csvConfiguration(_ change: (inout StreamConfiguration) -> Void = { _ in })
  -> StreamConfiguration
{
  var configuration = StreamConfiguration(name: "test", format: .csv)
  configuration.batch.size = 4
  change(&configuration)
  return configuration
}

/// The numbers of one column of a CSV text with a header; missing ones are NaN.
func column(_ index: Int, of text: String) -> [Double] {
  text.split(separator: "\n").dropFirst().map { line in
    let fields = line.split(separator: ",", omittingEmptySubsequences: false)
    return index < fields.count ? Double(fields[index]) ?? .nan : .nan
  }
}

/// The bytes in several zstd frames, with empty and skippable frames between them.
func framed(_ bytes: [UInt8], count: Int) throws -> [UInt8] {
  let compressor = try ZstdCompressor(level: 1)
  func frame(_ part: ArraySlice<UInt8>) throws -> [UInt8] {
    try Array(part).withUnsafeBufferPointer { try compressor.compress($0) }
  }
  let skippable: [UInt8] = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]
  let size = (bytes.count + count - 1) / count
  var frames = skippable + (try frame([]))
  for start in stride(from: 0, to: bytes.count, by: size) {
    frames += try frame(bytes[start..<min(start + size, bytes.count)])
    if start == 0 { frames += try skippable + frame([]) }
  }
  return frames
}
