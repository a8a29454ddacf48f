internal import Operators
internal import Records
internal import State
package import Storage

extension StateReading {
  /// Reads the state of a normaliser. That of other operators is left out.
  package static let ofNormalizer: StateReading = {
    var reading = StateReading(OperatorChain.stateGroups(of: [Normalize.self]))
    reading.turnedOff = Set(
      OperatorChain.stateGroups(of: BuiltInOperators.all).map(\.name)
    ).subtracting(reading.groups.map(\.name))
    return reading
  }()
}

/// The columns of a normaliser by short names.
extension Checkpoint {
  /// The state before the first batch. The features must have names that differ.
  package init(features: [String], settings: [String: String] = [:]) {
    guard let schema = try? FeatureSchema(features) else {
      preconditionFailure("two features of one name")
    }
    self.init(
      StateTable(OperatorChain.stateGroups(of: [Normalize.self]), features: schema),
      settings: settings)
  }

  /// Gives the features other names.
  package mutating func rename(_ features: [String]) {
    var renamed = Checkpoint(features: features).state
    for column in state.groups.flatMap(\.columns) {
      renamed[column.fileName] = state[column.fileName]
    }
    state = renamed
  }

  package var weight: [Double] {
    get { state[real: "weight"] }
    set { state[real: "weight"] = newValue }
  }
  package var bias: [Double] {
    get { state[real: "bias"] }
    set { state[real: "bias"] = newValue }
  }
  package var runningMean: [Double] {
    get { state[real: "running_mean"] }
    set { state[real: "running_mean"] = newValue }
  }
  package var runningVariance: [Double] {
    get { state[real: "running_var"] }
    set { state[real: "running_var"] = newValue }
  }
  package var batchesTracked: Int {
    get { state[count: "num_batches_tracked"][0] }
    set { state[count: "num_batches_tracked"][0] = newValue }
  }
  package var recordsTracked: Int {
    get { state[count: "evenkeel.stream.records"][0] }
    set { state[count: "evenkeel.stream.records"][0] = newValue }
  }
  package var values: [Double] {
    get { state[real: "evenkeel.moments.weight"] }
    set { state[real: "evenkeel.moments.weight"] = newValue }
  }
  package var batches: [Int] {
    get { state[count: "evenkeel.moments.batches"] }
    set { state[count: "evenkeel.moments.batches"] = newValue }
  }
  package var varianceValues: [Double] {
    get { state[real: "evenkeel.moments.variance_weight"] }
    set { state[real: "evenkeel.moments.variance_weight"] = newValue }
  }
  package var varianceBatches: [Int] {
    get { state[count: "evenkeel.moments.variance_batches"] }
    set { state[count: "evenkeel.moments.variance_batches"] = newValue }
  }
  package var missing: [Int] {
    get { state[count: "evenkeel.values.missing"] }
    set { state[count: "evenkeel.values.missing"] = newValue }
  }
  package var clipped: [Int] {
    get { state[count: "evenkeel.values.clipped"] }
    set { state[count: "evenkeel.values.clipped"] = newValue }
  }
  package var stateVersion: Int {
    get { state[count: "evenkeel.versions.state"][0] }
    set { state[count: "evenkeel.versions.state"][0] = newValue }
  }
  package var parametersVersion: Int {
    get { state[count: "evenkeel.versions.parameters"][0] }
    set { state[count: "evenkeel.versions.parameters"][0] = newValue }
  }
}

// Reading with the groups of a normaliser.

extension Checkpoint {
  package init(serialized bytes: [UInt8]) throws(ContentError) {
    try self.init(serialized: bytes, .ofNormalizer)
  }

  package init(safetensors file: Safetensors) throws(ContentError) {
    try self.init(safetensors: file, .ofNormalizer)
  }
}

extension CheckpointFile {
  package static func read(_ path: String) throws(StorageError) -> Checkpoint {
    try read(path, .ofNormalizer)
  }
}

extension CheckpointStore {
  package init(directory: String, keep: Int, in fileSystem: any FileSystem) throws(StorageError) {
    try self.init(directory: directory, keep: keep, .ofNormalizer, in: fileSystem)
  }

  package static func newest(
    in directory: String, of fileSystem: any FileSystem
  ) throws(StorageError) -> Found? {
    try newest(in: directory, .ofNormalizer, of: fileSystem)
  }
}

extension ImportOptions {
  package init() { self.init(groups: OperatorChain.stateGroups(of: [Normalize.self])) }
}
