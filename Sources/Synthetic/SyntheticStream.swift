import Records

/// A seeded stream of synthetic records, one a minute from 2025-01-01T00:00:00Z on.
///
/// The bytes depend only on the settings, not on the sizes in which a caller asks for them.
package struct SyntheticStream: Sendable {
  private let settings: SyntheticSettings
  private var processes: [FeatureProcess]
  private let day = DailyCycle()
  /// The text before each value: the delimiter, and in NDJSON the key.
  private let separators: [[UInt8]]
  /// 10^decimals.
  private let resolution: Double
  private var prologue: [UInt8]
  /// The number of records returned so far.
  package private(set) var row = 0

  /// The size of a full chunk, in bytes. A chunk ends with the record that reaches it.
  private static let chunkByteCount = 64 << 10

  /// - Throws: an error for the first setting that is out of its range.
  package init(_ settings: SyntheticSettings) throws(SyntheticError) {
    try settings.validate()
    self.settings = settings
    var seeds = SplitMix64(seed: settings.seed)
    processes = (0..<settings.features).map { feature in
      FeatureProcess(
        seed: seeds.next(), changes: settings.changes.filter { $0.feature == feature })
    }
    resolution = (0..<settings.decimals).reduce(1) { product, _ in product * 10 }
    let names = FeatureSchema.unnamed(count: settings.features)
    switch settings.format {
    case .csv:
      prologue = Array("time,\(names.joined(separator: ","))\n".utf8)
      separators = names.map { _ in Array(",".utf8) }
    case .ndjson:
      prologue = []
      separators = names.map { Array(",\"\($0)\":".utf8) }
    case .raw:
      prologue = []
      separators = []
    }
  }

  /// Replaces `chunk` by the next whole records: about 64 KiB, at most `recordLimit` records. The first chunk begins
  /// with the header, if there is one.
  ///
  /// - Returns: the number of bytes in `chunk`; 0 at the end of the stream.
  package mutating func next(into chunk: inout [UInt8], recordLimit: Int = .max) -> Int {
    chunk.removeAll(keepingCapacity: true)
    chunk.append(contentsOf: prologue)
    prologue = []
    let end = row + min(max(1, recordLimit), settings.rows - row)
    while row < end, chunk.count < Self.chunkByteCount {
      appendRecord(to: &chunk)
      row += 1
    }
    return chunk.count
  }

  private mutating func appendRecord(to chunk: inout [UInt8]) {
    switch settings.format {
    case .csv:
      appendTime(minutes: row, to: &chunk)
      appendTextValues(missing: [], to: &chunk)
      chunk.append(UInt8(ascii: "\n"))
    case .ndjson:
      chunk.append(contentsOf: "{\"time\":\"".utf8)
      appendTime(minutes: row, to: &chunk)
      chunk.append(UInt8(ascii: "\""))
      appendTextValues(missing: Array("null".utf8), to: &chunk)
      chunk.append(contentsOf: "}\n".utf8)
    case .raw(.float32):
      for feature in processes.indices {
        let value = nextValue(of: feature).map { Float(Double($0) / resolution) } ?? .nan
        appendLittleEndian(value.bitPattern, to: &chunk)
      }
    case .raw(.float64):
      for feature in processes.indices {
        let value = nextValue(of: feature).map { Double($0) / resolution } ?? .nan
        appendLittleEndian(value.bitPattern, to: &chunk)
      }
    }
  }

  private mutating func appendTextValues(missing: [UInt8], to chunk: inout [UInt8]) {
    for feature in processes.indices {
      chunk.append(contentsOf: separators[feature])
      if let value = nextValue(of: feature) {
        appendDecimal(value, decimals: settings.decimals, to: &chunk)
      } else {
        chunk.append(contentsOf: missing)
      }
    }
  }

  /// The value of a feature in the current record, in units of its last decimal; nil if missing.
  private mutating func nextValue(of feature: Int) -> Int64? {
    let (value, chance) = processes[feature].next(row: row, day: day, settings: settings)
    guard chance >= settings.missingRatio else { return nil }
    // The bounds keep extreme drifts within Int64. The conversion to Int64 cuts towards zero.
    let scaled = min(max(value * resolution, -9e18), 9e18)
    return Int64(scaled + (scaled < 0 ? -0.5 : 0.5))
  }
}

private func appendLittleEndian<Bits: FixedWidthInteger>(_ bits: Bits, to chunk: inout [UInt8]) {
  for shift in stride(from: 0, to: Bits.bitWidth, by: 8) {
    chunk.append(UInt8(truncatingIfNeeded: bits >> shift))
  }
}
