internal import Records
internal import State

/// The affine parameters γ and β, one pair for each feature.
package struct Parameters: Sendable, Equatable {
  /// The names of the features. If the file has none, the order decides.
  package var features: [String]?
  /// γ.
  package var weight: [Double]
  /// β.
  package var bias: [Double]

  package init(features: [String]? = nil, weight: [Double], bias: [Double]) {
    self.features = features
    self.weight = weight
    self.bias = bias
  }
}

/// Reads a safetensors file with `weight` and `bias`. A checkpoint is such a file too.
package enum ParametersFile {
  package static func read(
    _ path: String, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) -> Parameters {
    let bytes = try fileSystem.contents(of: path, limit: Safetensors.fileLimit)
    do throws(ContentError) {
      return try Parameters(serialized: bytes)
    } catch {
      throw .content(path: path, error)
    }
  }
}

extension Parameters {
  /// Reads the bytes of a parameters file. Verifies the checksum if there is one.
  package init(serialized bytes: [UInt8]) throws(ContentError) {
    let file = try Safetensors(serialized: bytes)
    if file.metadata[MetadataKey.checksum] != nil { try FileChecksum.verify(file, bytes) }
    let weight = try file.doubles("weight")
    let bias = try file.doubles("bias", count: weight.count)
    let features = try file.features()
    let schema = try FeatureSchema(named: features ?? FeatureSchema.unnamed(count: weight.count))
    for (name, numbers) in [("weight", weight), ("bias", bias)] {
      guard numbers.count == schema.count else {
        throw .unexpected(
          part: name,
          expected: "\(schema.count) number\(schema.count == 1 ? "" : "s"), one for each feature",
          found: "\(numbers.count)")
      }
      if let index = numbers.firstIndex(where: { !$0.isFinite }) {
        throw .unexpected(
          part: "\(name) of feature \(quoted(schema.names[index]))", expected: "a finite number",
          found: "\(numbers[index])")
      }
    }
    self.init(features: features, weight: weight, bias: bias)
  }
}
