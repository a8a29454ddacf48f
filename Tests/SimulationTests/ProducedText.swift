import Synthetic

/// The text of records that a producer writes: a key, two features and a note. The key is a number that
/// rises with each record of all files.
struct ProducedText {
  /// The first line of a file.
  enum Header: CaseIterable {
    case plain
    /// The same names in other bytes: a byte order mark, quotes, blanks, a carriage return.
    case otherBytes
    /// The features change places.
    case swapped
    /// There is one column more.
    case extended
    /// A feature is not there.
    case foreign

    /// Whether a stream that began with `plain` reads it as its own columns.
    var isSame: Bool { self == .plain || self == .otherBytes }
    /// Whether all features are there.
    var isWhole: Bool { self != .foreign }
  }

  /// NDJSON with a vector; else CSV.
  let isJSON: Bool

  /// The names that are chosen as features.
  var features: [String] { isJSON ? ["f0", "e[*]"] : ["f0", "f1"] }

  /// The header that a file with such a one has; NDJSON has none.
  func kind(_ header: Header) -> Header { isJSON ? .plain : header }

  func columns(_ header: Header) -> [String] {
    guard !isJSON else { return [] }
    return switch header {
    case .plain, .otherBytes: ["key", "f0", "f1", "note"]
    case .swapped: ["key", "f1", "f0", "note"]
    case .extended: ["key", "f0", "f1", "extra", "note"]
    case .foreign: ["key", "f0", "other", "note"]
    }
  }

  func line(_ header: Header) -> [UInt8] {
    guard !isJSON else { return [] }
    if header == .otherBytes { return Array("\u{FEFF}key,\"f0\", f1 ,note\r\n".utf8) }
    return Array((columns(header).joined(separator: ",") + "\n").utf8)
  }

  /// One record.
  ///
  /// - Parameter isBad: whether the stream is to refuse it.
  func record(
    _ key: Int, _ header: Header, isBad: Bool, _ random: inout SplitMix64
  ) -> [UInt8] {
    let values = (0..<3).map { feature in
      Double(Int.random(in: -999...999, using: &random)) / 8 + Double(1000 * feature)
    }
    if isJSON {
      let length = isBad ? [1, 3][Int.random(in: 0..<2, using: &random)] : 2
      let vector = values.prefix(length).map { "\($0)" }.joined(separator: ",")
      return Array("{\"key\":\(key),\"f0\":\(values[0]),\"e\":[\(vector)]}\n".utf8)
    }
    if isBad { return Array("k\(key),1\n".utf8) }
    let fields = columns(header).map { column in
      switch column {
      case "key": "k\(key)"
      case "note": "n\(key)"
      case "f0": "\(values[0])"
      case "f1": "\(values[1])"
      default: "\(values[2])"
      }
    }
    return Array((fields.joined(separator: ",") + (header == .otherBytes ? "\r\n" : "\n")).utf8)
  }

  /// The key of a record in the output; nil if it has none.
  func key(of line: some Sequence<UInt8>) -> Int? {
    let digits = line.drop { !(48...57).contains($0) }.prefix { (48...57).contains($0) }
    return Int(String(decoding: Array(digits), as: UTF8.self))
  }
}
