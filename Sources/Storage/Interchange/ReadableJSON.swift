internal import Features

extension ExportFormat {
  /// The whole checkpoint as JSON for people and scripts, one line a feature; numbers are spelled so
  /// that the nearest Double is the same one.
  package static let json = ExportFormat(name: "json") { checkpoint throws(ContentError) in
    var head = [
      "\"version\": \(Checkpoint.formatVersion)",
      "\"num_batches_tracked\": \(checkpoint.batchesTracked)",
      "\"settings\": \(JSON.encode(checkpoint.settings))",
    ]
    if let position = checkpoint.position {
      head.append("\"position\": \(JSON.encode(position))")
    }
    let features = checkpoint.features.indices.map { index in
      let numbers = [
        ("mean", checkpoint.runningMean), ("variance", checkpoint.runningVariance),
        ("weight", checkpoint.weight), ("bias", checkpoint.bias),
      ]
      return "    "
        + JSON.encode(
          members: [("name", JSON.quote(checkpoint.features[index]))]
            + numbers.map { ($0, "\($1[index])") }
            + checkpoint.counts.map { ($0.name, "\($0.values[index])") })
    }
    head.append(
      "\"features\": [" + (features.isEmpty ? "" : "\n")
        + features.joined(separator: ",\n") + "\n  ]")
    return Array("{\n  \(head.joined(separator: ",\n  "))\n}\n".utf8)
  }
}

extension ImportFormat {
  /// The JSON that the export of that name wrote; members of other names are passed over.
  static let json = ImportFormat(name: "json") { bytes, _ throws(ContentError) in
    guard let members = try JSON(parsing: bytes).object else {
      throw .unexpected(part: "file", expected: "a JSON object", found: "another value")
    }
    guard case .number(let version)? = members["version"] else {
      throw member("version", of: members, expected: "a format version")
    }
    try Checkpoint.checkVersion(version)
    guard let objects = members["features"]?.array else {
      throw member("features", of: members, expected: "an array of objects")
    }
    guard let settings = members["settings"]?.strings else {
      throw member("settings", of: members, expected: "a map of strings to strings")
    }
    guard let batchesTracked = members["num_batches_tracked"]?.integer else {
      throw member("num_batches_tracked", of: members, expected: "an integer")
    }
    var rows: [FeatureRow] = []
    for (index, object) in objects.enumerated() {
      rows.append(try FeatureRow(object, part: "features[\(index)]"))
    }
    var checkpoint = Checkpoint(features: rows.map(\.name), settings: settings)
    checkpoint.batchesTracked = batchesTracked
    checkpoint.position = try members["position"].map { json throws(ContentError) in
      try StreamPosition(json, part: "position")
    }
    checkpoint.runningMean = rows.map(\.mean)
    checkpoint.runningVariance = rows.map(\.variance)
    checkpoint.weight = rows.map(\.weight)
    checkpoint.bias = rows.map(\.bias)
    checkpoint.values = rows.map(\.values)
    checkpoint.batches = rows.map(\.batches)
    checkpoint.varianceValues = rows.map(\.varianceValues)
    checkpoint.varianceBatches = rows.map(\.varianceBatches)
    checkpoint.missing = rows.map(\.missing)
    checkpoint.clipped = rows.map(\.clipped)
    return checkpoint
  }

  private static func member(
    _ name: String, of members: [String: JSON], expected: String
  ) -> ContentError {
    .unexpected(part: name, expected: expected, found: members[name]?.summary ?? "nothing")
  }
}

/// One feature as the JSON has it.
private struct FeatureRow {
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

  init(_ json: JSON, part: String) throws(ContentError) {
    guard let members = json.object else {
      throw .unexpected(part: part, expected: "an object", found: json.summary)
    }
    func required<Value>(
      _ name: String, _ expected: String, _ read: (JSON) -> Value?
    ) throws(ContentError) -> Value {
      guard let value = members[name].flatMap(read) else {
        throw .unexpected(
          part: "\(part).\(name)", expected: expected, found: members[name]?.summary ?? "nothing")
      }
      return value
    }
    name = try required("name", "a string", \.string)
    mean = try required("mean", "a number", \.double)
    variance = try required("variance", "a number", \.double)
    weight = try required("weight", "a number", \.double)
    bias = try required("bias", "a number", \.double)
    values = try required("values", "an integer", \.integer)
    batches = try required("batches", "an integer", \.integer)
    varianceValues = try required("variance_values", "an integer", \.integer)
    varianceBatches = try required("variance_batches", "an integer", \.integer)
    missing = try required("missing", "an integer", \.integer)
    clipped = try required("clipped", "an integer", \.integer)
  }
}
