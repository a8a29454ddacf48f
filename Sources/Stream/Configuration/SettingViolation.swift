internal import BatchNormalization
internal import Codecs
internal import Records

/// A setting of a stream that makes no sense, by itself or beside another.
package struct SettingViolation: Error, Equatable, Sendable, CustomStringConvertible {
  /// What would make sense.
  package enum Expectation: Equatable, Sendable {
    /// A value of the setting, in words.
    case value(String)
    /// A value of another setting.
    case setting(key: String, value: String)
    /// What is said in full, and in place of `found`.
    case said(String)
  }

  /// The key of the setting within the stream's section, such as `normalize.variance`.
  package var key: String
  package var expected: Expectation
  package var found: String

  package var description: String { text { $0 } }

  /// The violation in one line, with settings called as the user knows them.
  package func text(naming name: (_ key: String) -> String) -> String {
    "\(name(key)): \(message(naming: name))"
  }

  /// The violation without the setting that it concerns.
  func message(naming name: (_ key: String) -> String) -> String {
    switch expected {
    case .value(let words): "expected \(words), found \(found)"
    case .setting(let key, let value): "expected \(name(key)) \(value), found \(found)"
    case .said(let message): message
    }
  }
}

extension StreamConfiguration {
  /// Everything that makes no sense in these settings, before a byte is read; the one place for rules
  /// that the configuration file and the command line share.
  ///
  /// - Parameter given: the keys that the user set, because one that would do nothing is refused too.
  package func violations(given: Set<String> = []) -> [SettingViolation] {
    normalization.violations.map { SettingViolation($0) } + idleSettings(given) + rangeViolations
      + formatViolations
  }

  /// Settings that were given and would do nothing beside the others.
  private func idleSettings(_ given: Set<String>) -> [SettingViolation] {
    var found: [SettingViolation] = []
    func require(
      _ holds: Bool, _ keys: String..., because other: String, _ expected: String, _ value: String
    ) {
      for key in keys where !holds && given.contains(key) {
        found.append(
          SettingViolation(
            key: key, expected: .setting(key: other, value: expected), found: value))
      }
    }
    let (mode, estimator) = (normalization.mode, normalization.estimator)
    require(
      mode == .running || !normalization.updateFirst, "normalize.update_first",
      because: "normalize.mode", "running", mode.rawValue)
    require(
      estimator == .batchNorm, "normalize.variance",
      because: "normalize.estimator", "batch_norm", "total, the variance of all values")
    require(
      mode == .renorm, "normalize.renorm.max_scale", "normalize.renorm.max_shift",
      because: "normalize.mode", "renorm", mode.rawValue)
    require(
      badRecords == .deadLetter, "dead_letters",
      because: "on_bad_record", "dead_letter", badRecords.rawValue)
    let weights = [
      "normalize.momentum", "normalize.half_life.records", "normalize.half_life.seconds",
    ].filter(given.contains)
    if weights.count > 1 {
      found.append(
        SettingViolation(
          key: weights[1], expected: .value("one of momentum and a half-life"), found: "both"))
    }
    return found
  }

  private var rangeViolations: [SettingViolation] {
    var found: [SettingViolation] = []
    func require(_ holds: Bool, _ key: String, expected: String, found value: String) {
      if !holds {
        found.append(SettingViolation(key: key, expected: .value(expected), found: value))
      }
    }
    func require(_ value: Int, in range: ClosedRange<Int>, _ key: String) {
      require(
        range.contains(value), key, expected: "\(range.lowerBound) to \(range.upperBound)",
        found: "\(value)")
    }
    require(batch.size, in: 1...BatchOptions.greatestSize, "batch.size")
    require(
      normalization.minBatchSize <= batch.size, "batch.min_size",
      expected: "at most the batch size \(batch.size)", found: "\(normalization.minBatchSize)")
    let windows = DecompressionOptions.windowLogRange
    require(
      windows.contains(decompression.maxWindowLog), "limits.window",
      expected: "2^\(windows.lowerBound) to 2^\(windows.upperBound) bytes",
      found: "2^\(decompression.maxWindowLog)")
    require(decompression.maxGrowth, in: DecompressionOptions.growthRange, "limits.growth")
    let limits = decoder.limits
    require(limits.recordBytes, in: DecoderLimits.recordByteRange, "limits.record_bytes")
    require(limits.fields, in: DecoderLimits.fieldRange, "limits.fields")
    require(limits.depth, in: DecoderLimits.depthRange, "limits.depth")
    if let level = compressionLevel {
      require(level, in: ZstdCompressor.levels, "compression.level")
    }
    if normalization.warmUp.emission == .hold {
      let (held, overflow) = normalization.warmUp.batches.multipliedReportingOverflow(
        by: batch.size)
      require(
        !overflow && held <= NormalizeStage.mostHeldRecords, "normalize.warm_up.batches",
        expected: "to hold at most \(NormalizeStage.mostHeldRecords) records",
        found: "\(normalization.warmUp.batches) batches of \(batch.size)")
    }
    return found
  }

  private var formatViolations: [SettingViolation] {
    let names = [("format", format), ("output.format", outputFormat ?? format)]
    let unknown = names.filter { BuiltInFormats.named($0.1) == nil }
    guard unknown.isEmpty, let known = BuiltInFormats.named(format) else {
      return unknown.prefix(1).map { key, name in
        SettingViolation(
          key: key,
          expected: .value("one of \(BuiltInFormats.all.map(\.name).joined(separator: ", "))"),
          found: "'\(name)'")
      }
    }
    do {
      _ = try known.makeDecoder(decoder)
      return []
    } catch {
      let prefix = "features: "
      let isOfFeatures = error.description.hasPrefix(prefix)
      let message = error.description.dropFirst(isOfFeatures ? prefix.count : 0)
      return [
        SettingViolation(
          key: isOfFeatures ? "features" : "format", expected: .said(String(message)), found: "")
      ]
    }
  }
}

extension SettingViolation {
  init(_ error: NormalizationError) {
    guard case .setting(let name, let expected, let found) = error else {
      self.init(
        key: "normalize", expected: .value("settings in their range"), found: "\(error)")
      return
    }
    let key = name.hasPrefix("batch.") ? name : "normalize." + name
    self.init(key: key, expected: .value(expected), found: found)
  }
}
