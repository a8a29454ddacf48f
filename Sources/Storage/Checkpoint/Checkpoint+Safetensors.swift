internal import Records
internal import State

/// The keys of `__metadata__`.
enum MetadataKey {
  static let version = "evenkeel.version"
  static let features = "evenkeel.features"
  static let state = "evenkeel.state"
  static let settings = "evenkeel.settings"
  static let input = "evenkeel.input"
  static let gradients = "evenkeel.gradients"
  static let outputs = "evenkeel.outputs"
  static let adoptedBy = "evenkeel.adopted_by"
  static let control = "evenkeel.control"
  static let delta = "evenkeel.delta"
  static let checksum = "evenkeel.checksum"
  static let epsilon = "evenkeel.epsilon"
  static let relativeEpsilon = "evenkeel.epsilon_relative"
  /// The limit on |x̂| that an export leaves out.
  static let clipLeftOut = "evenkeel.clip_left_out"
  static let priorLeftOut = "evenkeel.prior_left_out"
  /// The number of keys, or of classes, whose moments an export leaves out.
  static let keysLeftOut = "evenkeel.keys_left_out"
  static let parts = "evenkeel.parts"
  /// ε of the module that an export is for.
  static let moduleEpsilon = "evenkeel.module_eps"
}

extension Checkpoint {
  /// The tensors and metadata of the checkpoint, as docs/CHECKPOINTS.md lists them, without the checksum, which needs
  /// the bytes of the file.
  package func safetensors() throws(ContentError) -> Safetensors {
    var file = Safetensors(tensors: state.tensors)
    file.tensors.merge(state.keyTensors) { _, new in new }
    file.metadata = [
      MetadataKey.version: "\(Self.formatVersion)",
      MetadataKey.features: try JSON.encode(features),
      MetadataKey.state: try JSON.encode(state.writtenGroups.map(StateDescription.init)),
      MetadataKey.settings: try JSON.encode(settings),
    ]
    if let input {
      let (rest, tensors) = input.separated()
      file.metadata[MetadataKey.input] = try JSON.encode(rest)
      file.tensors.merge(tensors) { _, new in new }
    }
    if let gradients { file.metadata[MetadataKey.gradients] = try JSON.encode(gradients) }
    if !outputs.isEmpty {
      let named = Dictionary(uniqueKeysWithValues: outputs.map { ($0.key.name, $0.value) })
      file.metadata[MetadataKey.outputs] = try JSON.encode(named)
    }
    if let adoptedBy { file.metadata[MetadataKey.adoptedBy] = try JSON.encode(adoptedBy) }
    if !control.isEmpty { file.metadata[MetadataKey.control] = try JSON.encode(control) }
    if let delta { file.tensors[Self.rowsName] = .init(delta.rows) }
    return file
  }

  /// Reads the tensors and metadata of a checkpoint. Ignores keys and tensors that `evenkeel.state` does not
  /// describe.
  package init(safetensors file: Safetensors, _ reading: StateReading) throws(ContentError) {
    guard let version = file.metadata[MetadataKey.version] else {
      throw .unexpected(part: MetadataKey.version, expected: "a checkpoint", found: "nothing")
    }
    try Self.checkVersion(version)
    let schema = try FeatureSchema(
      named: file.required(MetadataKey.features, "an array of names"))
    let described: [StateDescription] = try file.required(
      MetadataKey.state, "an array of state groups")
    self.init(
      try StateTable(file, described, try reading.groups(for: described), features: schema),
      settings: try file.required(MetadataKey.settings, "a map of strings to strings"))
    input = try file.decoded(MetadataKey.input, "the cursors of splits")
    try input?.join(file.tensors)
    gradients = try file.decoded(
      MetadataKey.gradients, "a number of batches and the cursors of splits")
    let named: [String: OutputPosition]? = try file.decoded(
      MetadataKey.outputs, "a map of names to integers byte_count and sequence")
    for (name, position) in named ?? [:] { outputs[SinkID(name)] = position }
    adoptedBy = try file.decoded(MetadataKey.adoptedBy, "a map of strings to strings")
    control = try file.decoded(MetadataKey.control, "a map of subjects to changes") ?? [:]
    if let description = try file.deltaDescription() {
      delta = KeyDelta(
        rows: try file.integers(Self.rowsName, shape: [state.keyCount]), count: description.count)
    }
    try validate()
  }

  /// The bytes of a checkpoint file.
  ///
  /// - Throws: an error if the checkpoint is not valid.
  package func serialized() throws(ContentError) -> [UInt8] { try serialized(after: nil).bytes }

  /// The bytes of a checkpoint file, and its checksum.
  ///
  /// - Parameter predecessor: the checksum of the checkpoint that a delta continues.
  /// - Throws: an error if the checkpoint is not valid, or if it is a delta of nothing.
  func serialized(
    after predecessor: String?
  ) throws(ContentError) -> (bytes: [UInt8], checksum: String) {
    try validate()
    var file = try safetensors()
    if let delta {
      guard let predecessor else { throw Self.isDelta }
      file.metadata[MetadataKey.delta] = try JSON.encode(
        DeltaDescription(after: predecessor, count: delta.count))
    }
    file.metadata[MetadataKey.checksum] = FileChecksum.blank
    var bytes = try file.serialized()
    let digits = try FileChecksum.range(in: bytes)
    let checksum = FileChecksum.compute(bytes)
    bytes.replaceSubrange(digits, with: checksum.utf8)
    return (bytes, checksum)
  }

  /// Reads the bytes of the file of a whole checkpoint. The checksum shows any damage.
  package init(serialized bytes: [UInt8], _ reading: StateReading) throws(ContentError) {
    let file = try Safetensors(serialized: bytes)
    try FileChecksum.verify(file, bytes)
    try self.init(safetensors: file, reading)
    guard delta == nil else { throw Self.isDelta }
  }

  private static let isDelta = ContentError.unexpected(
    part: MetadataKey.delta, expected: "a whole checkpoint", found: "a delta")

  /// Refuses files of another format version. `2` and `2.7` are version 2.
  static func checkVersion(_ text: String) throws(ContentError) {
    guard let major = text.split(separator: ".").first.flatMap({ Int($0) }), major >= 1 else {
      throw .unexpected(
        part: "version", expected: "a format version such as \(formatVersion)",
        found: quoted(text))
    }
    guard major <= formatVersion else {
      throw .newerVersion(found: "\(major)", supported: formatVersion)
    }
    guard major == formatVersion else {
      throw .olderVersion(found: "\(major)", supported: formatVersion)
    }
  }
}

extension StateTable {
  /// Every column of the written groups as a tensor, by its name in files.
  var tensors: [String: Safetensors.Tensor] {
    var tensors: [String: Safetensors.Tensor] = [:]
    for group in writtenGroups {
      for column in group.columns {
        // A number for each key, if it is that of all its features.
        if let shared = sharedValues(column.fileName) {
          tensors[column.fileName] = .init(shared)
          continue
        }
        tensors[column.fileName] = self[column.fileName].map { .init($0, shape: shape(of: group)) }
      }
    }
    return tensors
  }

  /// Reads the columns of a file. Other columns start with their initial values.
  ///
  /// - Parameters:
  ///   - described: the groups that the file describes. The file must have all that they list.
  ///   - groups: the groups of the table.
  fileprivate init(
    _ file: Safetensors, _ described: [StateDescription], _ groups: [StateGroup],
    features: FeatureSchema
  ) throws(ContentError) {
    let listed = Set(described.flatMap(\.columns).map(\.fileName))
    let found = groups.flatMap { group in
      group.columns.filter { listed.contains($0.fileName) }.map { (group: group, column: $0) }
    }
    let hasKeys = found.contains { $0.group.scope.hasKeys }
    let keys = hasKeys ? try file.keyNames() : KeyNames()
    var read: [(name: String, values: StateValues)] = []
    // Checks shapes first, so that a wrong one allocates nothing.
    for (group, column) in found {
      var shape = group.scope.shape(features: features.count, keys: keys.count)
      if column.isShared, file.tensors[column.fileName]?.shape == [keys.count] {
        shape = [keys.count]
      }
      read.append((column.fileName, try file.values(of: column, shape: shape)))
    }
    self.init(groups, features: features)
    startKeys(keys)
    for (name, values) in read { self[name] = values }
  }
}

extension Safetensors {
  /// Converts a tensor to the values of a state column.
  fileprivate func values(of column: StateColumn, shape: [Int]) throws(ContentError) -> StateValues
  {
    switch column.kind {
    case .real: .real(try doubles(column.fileName, shape: shape))
    case .count: .count(try integers(column.fileName, shape: shape))
    }
  }
}

/// The checksum of a whole file, with its header: XXH3 with 64 bits, as 16 lower-case hexadecimal digits. It is
/// computed with zeros in place of these digits.
enum FileChecksum {
  static let blank = String(repeating: "0", count: 16)

  /// The range of the digits in the file.
  ///
  /// The search text contains quotes that are not escaped, so no string of the header can contain it.
  static func range(in file: [UInt8]) throws(ContentError) -> Range<Int> {
    let header = try Safetensors.headerRange(of: file)
    let key = Array("\"\(MetadataKey.checksum)\":\"".utf8)
    let start = header.first {
      file[$0] == key[0] && file[$0..<header.upperBound].starts(with: key)
    }
    guard let digits = start.map({ $0 + key.count..<$0 + key.count + blank.utf8.count }),
      digits.upperBound < header.upperBound, file[digits.upperBound] == UInt8(ascii: "\"")
    else {
      throw .unexpected(part: MetadataKey.checksum, expected: "16 digits", found: "something else")
    }
    return digits
  }

  static func compute(_ file: [UInt8]) -> String { hexDigits(xxh3(file)) }

  /// Checks the checksum that the metadata of `file` records.
  static func verify(_ file: Safetensors, _ bytes: [UInt8]) throws(ContentError) {
    guard let recorded = file.metadata[MetadataKey.checksum] else {
      throw .unexpected(part: MetadataKey.checksum, expected: "a checkpoint's", found: "nothing")
    }
    let digits = try range(in: bytes)
    var blanked = bytes
    blanked.replaceSubrange(digits, with: blank.utf8)
    let computed = compute(blanked)
    guard recorded == computed else {
      throw .checksumMismatch(recorded: recorded, computed: computed)
    }
  }
}

extension Safetensors {
  /// The names of the features, if the metadata contains them.
  func features() throws(ContentError) -> [String]? {
    try decoded(MetadataKey.features, "an array of names")
  }

  /// The checkpoint that the file continues, if it is a delta.
  func deltaDescription() throws(ContentError) -> DeltaDescription? {
    try decoded(MetadataKey.delta, "a checksum after and an integer count")
  }

  /// The JSON of a key of the metadata, or nil if there is no such key.
  fileprivate func decoded<Value: Decodable>(
    _ key: String, _ expected: String
  ) throws(ContentError) -> Value? {
    guard let text = metadata[key] else { return nil }
    guard let value: Value = try? JSON.decode(from: text.utf8, part: key) else {
      throw .unexpected(part: key, expected: expected, found: quoted(text))
    }
    return value
  }

  fileprivate func required<Value: Decodable>(
    _ key: String, _ expected: String
  ) throws(ContentError) -> Value {
    guard let value: Value = try decoded(key, expected) else {
      throw .unexpected(part: key, expected: expected, found: "nothing")
    }
    return value
  }
}
