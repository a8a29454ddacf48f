/// Draws records of one format: a key, numbers that may be missing, and text that is hard to read. Some records
/// are bad; the first one is good, because NDJSON takes the features from it.
package struct RandomRecords: Sendable {
  /// `csv`, `ndjson` or `raw`. Raw rows have no key and no text.
  private let format: String
  private let features: [String]

  package init(_ format: String, features: [String]) {
    self.format = format
    self.features = features
  }

  /// A header, if the format has one, and `count` records.
  package func bytes(_ count: Int, using random: inout some RandomNumberGenerator) -> [UInt8] {
    var bytes = format == "csv" ? Array("key,\(features.joined(separator: ",")),note\n".utf8) : []
    for record in 0..<count {
      let values = features.indices.map { feature in
        let value = random.fraction(upTo: 9999, over: 64) * Double(feature + 1)
        return random.once(in: 12) ? nil : value
      }
      let isBad = random.once(in: 15) && record > 0
      switch format {
      case "raw": bytes += row(values, isBad)
      case "ndjson": bytes += jsonLine(record, values, isBad).utf8
      default: bytes += csvLine(record, values, isBad).utf8
      }
    }
    return bytes
  }

  private func row(_ values: [Double?], _ isBad: Bool) -> [UInt8] {
    values.flatMap { value in
      let number = isBad ? Float.infinity : value.map { Float($0) } ?? .nan
      return withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) }
    }
  }

  private func csvLine(_ record: Int, _ values: [Double?], _ isBad: Bool) -> String {
    if isBad { return record % 2 == 0 ? "k\(record),1\n" : "k\(record),two,2,3,bad \u{1}\n" }
    let missing = ["", "NA"][record % 2]
    let numbers = values.map { $0.map { "\($0)" } ?? missing }
    let note = record % 3 == 0 ? "\"a, \"\"quoted\"\"\nnote\"" : "ü"
    let end = record % 5 == 0 ? "\r\n" : "\n"
    let blank = record % 11 == 0 ? "\n" : ""
    return "k\(record),\(numbers.joined(separator: ",")),\(note)\(end)\(blank)"
  }

  private func jsonLine(_ record: Int, _ values: [Double?], _ isBad: Bool) -> String {
    if isBad {
      return record % 2 == 0 ? "{\"\(features[0])\":1,\n" : "{\"\(features[0])\":\"two\"}\n"
    }
    let members = zip(features, values).map { "\"\($0)\": \($1.map { "\($0)" } ?? "null")" }
    return
      "{\"key\":\"k\(record)\",\(members.joined(separator: ", ")),\"note\":[1,{\"a\":\"ü\"}]}\n"
  }
}
