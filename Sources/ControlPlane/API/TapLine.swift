internal import FoundationEssentials
internal import Records
internal import Stream

/// A line of the answer to `GET /api/v1/streams/NAME/tap`. docs/HTTP.md explains each member.
package struct TapLine: Codable, Sendable, Equatable {
  package enum Kind: String, Codable, Sendable {
    case record, rejected, lost
  }

  package var kind: Kind
  package var record: Int?
  package var features: [String]?
  package var featuresLeftOff: Int?
  package var input: [TapNumber]?
  package var output: [TapNumber]?
  package var inputText: String?
  package var outputText: String?
  package var split: String?
  package var byteOffset: Int?
  package var expected: String?
  package var found: String?
  package var samples: Int?

  enum CodingKeys: String, CodingKey {
    case kind, record, features, featuresLeftOff, split, byteOffset, expected, found, samples
    case input = "in"
    case output = "out"
    case inputText = "inText"
    case outputText = "outText"
  }

  init(_ sample: TapSample) {
    switch sample {
    case .record(let tapped):
      kind = .record
      record = tapped.record
      features = tapped.features
      featuresLeftOff = tapped.featuresLeftOff == 0 ? nil : tapped.featuresLeftOff
      input = tapped.input.map { TapNumber($0, tapped.inputPrecision) }
      output = tapped.output.map { TapNumber($0, tapped.outputPrecision) }
      inputText = tapped.inputText
      outputText = tapped.outputText
    case .rejected(let rejected):
      kind = .rejected
      record = rejected.number
      split = rejected.splitName
      byteOffset = rejected.offset
      expected = rejected.expected
      found = rejected.found
      inputText = rejected.text
    case .lost(let count):
      kind = .lost
      samples = count
    }
  }

  /// - Throws: if the bytes are no line of a tap.
  package init(json: [UInt8]) throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    self = try decoder.decode(TapLine.self, from: Data(json))
  }

  /// The line without its end.
  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and finite numbers can always be encoded.
    return printable(json: Array((try? encoder.encode(self)) ?? Data("{}".utf8)))
  }
}

/// A value of a feature, in the shortest form that its width needs. It is null if it is missing or not finite.
package struct TapNumber: Codable, Sendable, Equatable, CustomStringConvertible {
  private let value: Double
  private let precision: Precision

  init(_ value: Double, _ precision: Precision) {
    self.value = value
    self.precision = precision
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    self.init(container.decodeNil() ? .nan : try container.decode(Double.self), .float64)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    let narrow = Float(value)
    if precision == .float32, narrow.isFinite {
      try container.encode(narrow)
    } else if precision == .float64, value.isFinite {
      try container.encode(value)
    } else {
      try container.encodeNil()
    }
  }

  package var description: String { value.isFinite ? "\(value)" : "null" }
}
