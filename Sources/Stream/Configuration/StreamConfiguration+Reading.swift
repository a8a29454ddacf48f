internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Records
internal import Storage

extension StreamConfiguration {
  /// The most bytes that a dictionary file may have.
  package static let greatestDictionary = 64 << 20

  /// Reads what the section of a stream says of its records and numbers; nil without a format.
  init?(name: String, _ section: ConfigurationSection, in fileSystem: any FileSystem) {
    let format = section.kind("format", of: BuiltInFormats.all.map(\.name))
    self.init(name: name, format: format?.name ?? "")
    readLimits(section.sectionOrDefaults("limits"))
    let known = format.flatMap { BuiltInFormats.named($0.name) }
    let settings = format.flatMap { _, section in
      known.flatMap { section.values(of: $0.settings) }
    }
    if let settings { decoder.settings = settings }
    readRecords(section)
    readBatch(section.sectionOrDefaults("batch"))
    normalization = NormalizationSettings(
      section.sectionOrDefaults("normalize"), minBatchSize: normalization.minBatchSize)
    normalization.imputesMissing = decoder.onMissing == .impute
    readOutput(section)
    readDictionary(section, in: fileSystem)
    onMismatch = section.choice("on_mismatch", default: onMismatch)
    guard settings != nil else { return nil }
    for violation in violations(given: Set(section.keyPaths)) {
      let message = violation.message { "\($0.split(separator: ".").last ?? ""):" }
      section.report(message, keyPath: violation.key)
    }
  }

  private mutating func readRecords(_ section: ConfigurationSection) {
    let features = section.optionalStrings("features")
    if let features, features.isEmpty || features.contains("") {
      section.report(
        "features", expected: "names, or no such key for every column of numbers",
        found: features.isEmpty ? "none" : "an empty one")
    }
    decoder.features = (features ?? []).map { FeaturePattern($0) }
    decoder.onMissing = section.choice("on_missing", default: decoder.onMissing)
    decoder.onInvalid = section.choice("on_invalid", default: decoder.onInvalid)
    badRecords = section.choice("on_bad_record", default: badRecords)
  }

  private mutating func readLimits(_ section: ConfigurationSection) {
    let limits = DecoderLimits()
    decoder.limits.recordBytes = section.bytes(
      "record_bytes", in: DecoderLimits.recordByteRange, default: limits.recordBytes)
    decoder.limits.fields = section.int(
      "fields", in: DecoderLimits.fieldRange, default: limits.fields)
    decoder.limits.depth = section.int(
      "depth", in: DecoderLimits.depthRange, default: limits.depth)
    decompression.maxGrowth = section.int(
      "growth", in: DecompressionOptions.growthRange, default: decompression.maxGrowth)
    batch.maxBytes = section.bytes("batch_bytes", in: 1 << 20...1 << 40, default: batch.maxBytes)
    let windows = DecompressionOptions.windowLogRange
    if let window = section.optionalBytes(
      "window", in: 1 << windows.lowerBound...1 << windows.upperBound)
    {
      decompression.maxWindowLog = window.trailingZeroBitCount
      if window.nonzeroBitCount > 1 {
        section.report(
          "window", expected: "a power of two", found: "\(window) bytes")
      }
    }
  }

  private mutating func readBatch(_ section: ConfigurationSection) {
    batch.size = section.int("size", in: 1...BatchOptions.greatestSize, default: batch.size)
    batch.maxDelaySeconds = section.seconds(
      "max_delay", in: 0...86_400, default: batch.maxDelaySeconds)
    normalization.minBatchSize = section.int(
      "min_size", in: 1...BatchOptions.greatestSize,
      // A stream that is normalised record by record has no larger batches.
      default: min(normalization.minBatchSize, batch.size))
  }

  private mutating func readOutput(_ section: ConfigurationSection) {
    let output = section.sectionOrDefaults("output")
    outputFormat = output.optionalName("format", of: BuiltInFormats.all.map(\.name))
    precision = output.choice("precision", default: precision)
    if section.text(at: "compression") == "off" {
      _ = section.string("compression")
      compressionLevel = nil
    } else {
      compressionLevel = section.sectionOrDefaults("compression").int(
        "level", in: ZstdCompressor.levels, default: 1)
    }
  }

  private mutating func readDictionary(
    _ section: ConfigurationSection, in fileSystem: any FileSystem
  ) {
    guard let path = section.optionalString("dictionary") else { return }
    do {
      decompression.dictionary = try fileSystem.contents(of: path, limit: Self.greatestDictionary)
    } catch {
      section.report("dictionary", expected: "a dictionary", found: "\(error)")
    }
  }
}

extension NormalizationSettings {
  /// Reads the section `normalize` of a stream.
  fileprivate init(_ section: ConfigurationSection, minBatchSize: Int) {
    let preset = section.optionalChoice("preset", of: NormalizationPreset.self)
    self = preset.map { NormalizationSettings(preset: $0) } ?? NormalizationSettings()
    self.minBatchSize = minBatchSize
    mode = section.choice("mode", default: mode)
    updateFirst = section.bool("update_first", default: updateFirst)
    isFrozen = section.bool("frozen", default: isFrozen)
    readMomentum(section)
    epsilon = section.double(
      "epsilon", expected: "a finite number above 0", default: epsilon
    ) { $0 > 0 }
    estimator = section.choice("estimator", default: estimator)
    variance = section.choice("variance", default: variance)
    biasCorrection = section.bool("bias_correction", default: biasCorrection)
    clip = section.optionalDouble("clip", expected: "a finite number above 0") { $0 > 0 }
    varianceFloor = section.optionalDouble(
      "variance_floor", expected: "a finite number of at least 0"
    ) { $0 >= 0 }
    let warmUp = section.sectionOrDefaults("warm_up")
    self.warmUp.batches = warmUp.int("batches", in: 0...Int.max, default: self.warmUp.batches)
    self.warmUp.emission = warmUp.choice("emit", default: self.warmUp.emission)
    let renorm = section.sectionOrDefaults("renorm")
    renormMaxScale = renorm.double(
      "max_scale", expected: "a finite number of at least 1", default: renormMaxScale
    ) { $0 >= 1 }
    renormMaxShift = renorm.double(
      "max_shift", expected: "a finite number of at least 0", default: renormMaxShift
    ) { $0 >= 0 }
  }

  private mutating func readMomentum(_ section: ConfigurationSection) {
    if section.text(at: "momentum") == "cumulative" {
      _ = section.string("momentum")
      momentum = .cumulative
    } else if let weight = section.optionalDouble(
      "momentum", expected: "a number above 0, at most 1, or cumulative",
      allows: { $0 > 0 && $0 <= 1 })
    {
      momentum = .weight(weight)
    }
    guard let halfLife = section.section("half_life") else { return }
    let records = halfLife.optionalDouble("records", expected: "a finite number above 0") { $0 > 0 }
    let seconds = halfLife.optionalSeconds("seconds", in: 0.001...3_153_600_000)
    switch (records, seconds) {
    case (let records?, _): momentum = .halfLifeRecords(records)
    case (nil, let seconds?): momentum = .halfLifeSeconds(seconds)
    case (nil, nil):
      if !halfLife.contains("records"), !halfLife.contains("seconds") {
        halfLife.report(nil, expected: "records or seconds", found: "neither")
      }
    }
  }
}
