internal import Records

extension ExportFormat {
  /// The whole checkpoint as JSON for people and scripts; numbers are spelled so that the nearest
  /// Double is the same one.
  package static let json = ExportFormat(name: "json") { checkpoint throws(ContentError) in
    Array(try JSON.encode(ReadableCheckpoint(checkpoint), indented: true).utf8) + [0x0A]
  }
}

extension ImportFormat {
  /// The JSON that the export of that name wrote; members of other names are passed over.
  static let json = ImportFormat(name: "json") { bytes, _ throws(ContentError) in
    // First, because a newer version may lack what this one needs.
    let version = try JSON.decode(ReadableVersion.self, from: bytes, part: "file").version
    try Checkpoint.checkVersion("\(version)")
    return try JSON.decode(ReadableCheckpoint.self, from: bytes, part: "file").checkpoint
  }
}

/// The format version, which stands in every version of the JSON.
private struct ReadableVersion: Decodable {
  let version: Double
}

/// A checkpoint as the JSON has it.
private struct ReadableCheckpoint: Codable {
  struct Feature: Codable {
    let name: String
    let mean: Double
    let variance: Double
    let weight: Double
    let bias: Double
    let values: Int
    let batches: Int
    let varianceValues: Int
    let varianceBatches: Int
    let missing: Int
    let clipped: Int

    enum CodingKeys: String, CodingKey {
      case name, mean, variance, weight, bias, values, batches, missing, clipped
      case varianceValues = "variance_values"
      case varianceBatches = "variance_batches"
    }
  }

  let version: Double
  let batchesTracked: Int
  let settings: [String: String]
  let position: StreamPosition?
  let features: [Feature]

  enum CodingKeys: String, CodingKey {
    case version, settings, position, features
    case batchesTracked = "num_batches_tracked"
  }

  init(_ checkpoint: Checkpoint) {
    version = Double(Checkpoint.formatVersion)
    batchesTracked = checkpoint.batchesTracked
    settings = checkpoint.settings
    position = checkpoint.position
    features = checkpoint.features.indices.map { index in
      Feature(
        name: checkpoint.features[index],
        mean: checkpoint.runningMean[index], variance: checkpoint.runningVariance[index],
        weight: checkpoint.weight[index], bias: checkpoint.bias[index],
        values: checkpoint.values[index], batches: checkpoint.batches[index],
        varianceValues: checkpoint.varianceValues[index],
        varianceBatches: checkpoint.varianceBatches[index],
        missing: checkpoint.missing[index], clipped: checkpoint.clipped[index])
    }
  }

  var checkpoint: Checkpoint {
    var checkpoint = Checkpoint(features: features.map(\.name), settings: settings)
    checkpoint.batchesTracked = batchesTracked
    checkpoint.position = position
    checkpoint.runningMean = features.map(\.mean)
    checkpoint.runningVariance = features.map(\.variance)
    checkpoint.weight = features.map(\.weight)
    checkpoint.bias = features.map(\.bias)
    checkpoint.values = features.map(\.values)
    checkpoint.batches = features.map(\.batches)
    checkpoint.varianceValues = features.map(\.varianceValues)
    checkpoint.varianceBatches = features.map(\.varianceBatches)
    checkpoint.missing = features.map(\.missing)
    checkpoint.clipped = features.map(\.clipped)
    return checkpoint
  }
}
