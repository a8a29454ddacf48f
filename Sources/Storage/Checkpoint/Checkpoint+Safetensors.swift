internal import Records

/// The keys of `__metadata__`.
enum MetadataKey {
  static let version = "evenkeel.version"
  static let features = "evenkeel.features"
  static let settings = "evenkeel.settings"
  static let position = "evenkeel.position"
  static let output = "evenkeel.output"
  static let deadLetters = "evenkeel.dead_letters"
  static let lentTo = "evenkeel.lent_to"
  static let checksum = "evenkeel.checksum"
  static let epsilon = "evenkeel.epsilon"
}

extension Checkpoint {
  /// The tensors and metadata of the checkpoint, as docs/CHECKPOINTS.md lists them; the checksum,
  /// which needs the file's bytes, is still to be put in.
  package func safetensors() throws(ContentError) -> Safetensors {
    var file = Safetensors()
    file.tensors = [
      "weight": .init(weight), "bias": .init(bias), "running_mean": .init(runningMean),
      "running_var": .init(runningVariance), "num_batches_tracked": .init(scalar: batchesTracked),
    ]
    for (name, counts) in counts { file.tensors["evenkeel." + name] = .init(counts) }
    file.metadata = [
      MetadataKey.version: "\(Self.formatVersion)",
      MetadataKey.features: try JSON.encode(features),
      MetadataKey.settings: try JSON.encode(settings),
    ]
    if let position { file.metadata[MetadataKey.position] = try JSON.encode(position) }
    if let output { file.metadata[MetadataKey.output] = try JSON.encode(output) }
    if let deadLetters { file.metadata[MetadataKey.deadLetters] = try JSON.encode(deadLetters) }
    if let lentTo { file.metadata[MetadataKey.lentTo] = try JSON.encode(lentTo) }
    return file
  }

  /// Reads the tensors and metadata of a checkpoint; those of other names are passed over.
  package init(safetensors file: Safetensors) throws(ContentError) {
    guard let version = file.metadata[MetadataKey.version] else {
      throw .unexpected(part: MetadataKey.version, expected: "a checkpoint", found: "nothing")
    }
    try Self.checkVersion(version)
    self.init(features: try file.required(MetadataKey.features, "an array of names"))
    let count = features.count
    weight = try file.doubles("weight", count: count)
    bias = try file.doubles("bias", count: count)
    runningMean = try file.doubles("running_mean", count: count)
    runningVariance = try file.doubles("running_var", count: count)
    batchesTracked = try file.integer("num_batches_tracked")
    values = try file.integers("evenkeel.values", count: count)
    batches = try file.integers("evenkeel.batches", count: count)
    varianceValues = try file.integers("evenkeel.variance_values", count: count)
    varianceBatches = try file.integers("evenkeel.variance_batches", count: count)
    missing = try file.integers("evenkeel.missing", count: count)
    clipped = try file.integers("evenkeel.clipped", count: count)
    settings = try file.required(MetadataKey.settings, "a map of strings to strings")
    position = try file.decoded(
      MetadataKey.position,
      "integers records, byte_offset, frame_offset and byte_offset_in_frame")
    output = try file.decoded(MetadataKey.output, "integers byte_count and sequence")
    deadLetters = try file.decoded(MetadataKey.deadLetters, "integers byte_count and sequence")
    lentTo = try file.decoded(MetadataKey.lentTo, "a map of strings to strings")
    try validate()
  }

  /// The bytes of a checkpoint file.
  ///
  /// - Throws: when the checkpoint is not valid.
  package func serialized() throws(ContentError) -> [UInt8] {
    try validate()
    var file = try safetensors()
    file.metadata[MetadataKey.checksum] = FileChecksum.blank
    var bytes = try file.serialized()
    let digits = try FileChecksum.range(in: bytes)
    bytes.replaceSubrange(digits, with: FileChecksum.compute(bytes).utf8)
    return bytes
  }

  /// Reads the bytes of a checkpoint file; any damage is seen by the checksum.
  package init(serialized bytes: [UInt8]) throws(ContentError) {
    let file = try Safetensors(serialized: bytes)
    try FileChecksum.verify(file, bytes)
    try self.init(safetensors: file)
  }

  /// Refuses what a later format version wrote; `1` and `1.7` are version 1.
  static func checkVersion(_ text: String) throws(ContentError) {
    guard let major = text.split(separator: ".").first.flatMap({ Int($0) }), major >= 1 else {
      throw .unexpected(
        part: "version", expected: "a format version such as 1", found: quoted(text))
    }
    guard major <= formatVersion else {
      throw .newerVersion(found: "\(major)", supported: formatVersion)
    }
  }
}

/// The sum that covers a whole file, its header too: XXH3 with 64 bits as 16 lower-case hexadecimal
/// digits, computed with those digits as zeros.
enum FileChecksum {
  static let blank = String(repeating: "0", count: 16)

  /// Where in the file the digits stand.
  ///
  /// The bytes searched for have quotes that are not escaped, so no string of the header can hold
  /// them.
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

  static func compute(_ file: [UInt8]) -> String {
    let digits = String(xxh3(file), radix: 16)
    return blank.dropLast(digits.count) + digits
  }

  /// Checks that the bytes of `file` are those that were written.
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
  /// The names of the features, where the metadata has them.
  func features() throws(ContentError) -> [String]? {
    try decoded(MetadataKey.features, "an array of names")
  }

  /// The JSON under a key of the metadata, where there is such a key.
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
