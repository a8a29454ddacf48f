import Codecs
import Configuration
import Records
import Storage

@testable import Stream

extension RecordFormat {
  /// The built-in format of a name; CSV for a name that is none.
  static func named(_ name: String) -> RecordFormat {
    BuiltInFormats.all.first { $0.name == name } ?? .csv
  }
}

/// A seeded stream of one format, with what streams have: keys, quotes, missing values, bad records.
struct TestStream {
  var bytes: [UInt8]
  var configuration: StreamConfiguration

  static let features = ["f0", "f1", "f2"]

  /// The formats that streams are made in.
  static let formats = ["csv", "raw", "ndjson"]

  init(_ format: String, records: Int, seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    configuration = StreamConfiguration(name: "test", format: .named(format))
    configuration.batch.size = 8
    configuration.badRecords = .deadLetter
    configuration.decoder.features = Self.features.map { FeaturePattern($0) }
    bytes = format == "csv" ? Array("key,f0,f1,f2,note\n".utf8) : []
    for record in 0..<records {
      let values = (0..<3).map { feature -> Double? in
        let value = Double(Int.random(in: -9999...9999, using: &random)) / 64
        return Int.random(in: 0..<12, using: &random) == 0 ? nil : value * Double(feature + 1)
      }
      // NDJSON settles its features by the first line, so that one is good.
      let isBad = Int.random(in: 0..<15, using: &random) == 0 && record > 0
      switch format {
      case "raw":
        configuration.decoder.settings[RawSettings.columns] = 3
        for value in values {
          let number = isBad ? Float.infinity : value.map { Float($0) } ?? .nan
          withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 }
        }
      case "ndjson": bytes += Self.jsonLine(record, values, isBad).utf8
      default: bytes += Self.csvLine(record, values, isBad).utf8
      }
    }
  }

  private static func csvLine(_ record: Int, _ values: [Double?], _ isBad: Bool) -> String {
    if isBad { return record % 2 == 0 ? "k\(record),1,2\n" : "k\(record),1,two,3,bad \u{1}\n" }
    let missing = ["", "NA"][record % 2]
    let numbers = values.map { $0.map { "\($0)" } ?? missing }
    let note = record % 3 == 0 ? "\"a, \"\"quoted\"\"\nnote\"" : "ü"
    let end = record % 5 == 0 ? "\r\n" : "\n"
    let blank = record % 11 == 0 ? "\n" : ""
    return "k\(record),\(numbers.joined(separator: ",")),\(note)\(end)\(blank)"
  }

  private static func jsonLine(_ record: Int, _ values: [Double?], _ isBad: Bool) -> String {
    if isBad { return record % 2 == 0 ? "{\"f0\":1,\n" : "{\"f0\":1,\"f1\":\"two\",\"f2\":3}\n" }
    let members = zip(features, values).map { "\"\($0)\": \($1.map { "\($0)" } ?? "null")" }
    return
      "{\"key\":\"k\(record)\",\(members.joined(separator: ", ")),\"note\":[1,{\"a\":\"ü\"}]}\n"
  }
}

/// A stream of CSV with these columns of numbers behind a key.
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

/// The bytes in several zstd frames, with an empty and a skippable one among them.
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

/// SplitMix64, so that a seed gives the same stream everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
