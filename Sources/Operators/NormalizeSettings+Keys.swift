internal import BatchNormalization
package import Configuration
package import Records

// The keys of a stream: what its records are of, each with moments of its own.
extension NormalizeSettings {
  static let keySettings: [any SettingDescription] = [
    keyColumns, keyPrior, keyMax, keyIdle, keyFeatures,
  ]

  package static let keyColumns = Setting(
    RoleColumn.keyKey, columnsType, option: .value("key", "columns"),
    help:
      "The columns that tell what a record is of, such as a device or a site. Each has moments of its own, which are "
      + "merged with those of all records when they normalise.")

  package static let keyPrior = Setting(
    "key.prior", .number(atLeast: 0), default: 5, option: .value("key-prior", "k"),
    help:
      "With keys: how many values the moments of all records count as beside those of a key. A new key begins with "
      + "them; `0` is the key alone.")

  package static let keyMax = Setting(
    "key.max", .integer(in: 1...100_000_000), default: 1_000_000, option: .value("key-max", "n"),
    help: "The most keys. For one more, the key that was used the longest ago goes.")

  package static let keyIdle = Setting(
    "key.idle", .seconds(in: 0.001...3_153_600_000), option: .value("key-idle", "time"),
    help:
      "A key goes when it had no record for this event time, such as `30d`; needs `time.column`, or the messages of a "
      + "topic.")

  package static let keyFeatures = Setting(
    "key.features", featuresType, defaultText: "all features",
    option: .value("key-features", "names"),
    help:
      "The features that have moments by key, with `*` and `?`. The others are normalised by those of all records."
  )

  private static let columnsType = SettingType<[String]>(
    expected: "1 to \(RecordKey.mostColumns) columns", form: .list, text: { listText($0) },
    list: { (names) throws(SettingRefusal) in
      guard 1...RecordKey.mostColumns ~= names.count, !names.contains(""),
        Set(names).count == names.count
      else {
        throw SettingRefusal(
          expected: "1 to \(RecordKey.mostColumns) columns, each once",
          found: names.isEmpty ? "none" : listText(names))
      }
      return names
    })

  private static let featuresType = SettingType<[FeaturePattern]>(
    expected: "a list of features", form: .list, text: { listText($0.map(\.text)) },
    list: { (names) throws(SettingRefusal) in
      guard !names.isEmpty, !names.contains("") else {
        throw SettingRefusal(
          expected: "names of features", found: names.isEmpty ? "none" : "an empty one")
      }
      return names.map { FeaturePattern($0) }
    })

  /// The keys that the values have; nil without them.
  static func key(_ values: SettingValues) -> KeySettings? {
    guard let columns = values[keyColumns] else { return nil }
    var key = KeySettings(columns: columns)
    key.prior = values[keyPrior]
    key.most = values[keyMax]
    key.idleSeconds = values[keyIdle]
    key.features = values[keyFeatures] ?? []
    return key
  }

  /// The needs of keys that the values do not meet.
  @Sendable static func keyViolations(_ values: SettingValues) -> [SettingViolation] {
    guard values[keyColumns] != nil else {
      return keySettings.filter(values.isGiven).map {
        SettingViolation($0, expected: .other(keyColumns, is: "COLUMNS"), found: "none")
      }
    }
    if values[keyIdle] != nil, values[timeColumn] == nil, !values[messageTimes] {
      return [SettingViolation(keyIdle, expected: .other(timeColumn, is: "NAME"), found: "none")]
    }
    guard let reason = keyRefusal(NormalizationSettings(values)) else { return [] }
    return [SettingViolation(keyColumns, expected: .said("expected \(reason)"), found: "")]
  }

  /// The expected and the found value of a setting that makes no sense with keys; nil if there is none.
  private static func keyRefusal(_ settings: NormalizationSettings) -> String? {
    if settings.isInverse { return "no inverse, found it: y does not tell the moments of its key" }
    return refusal(settings, of: "key")
  }

  /// The expected and the found value of a setting that makes no sense with moments of each key, or of each class; nil
  /// if there is none.
  static func refusal(_ settings: NormalizationSettings, of row: String) -> String? {
    if settings.mode != .running {
      return
        "mode running, found \(settings.mode.rawValue): a batch has too few records of each \(row)"
    }
    if settings.updateFirst {
      return "update_first false, found true: a value would be in the moments that normalise it"
    }
    if settings.estimator != .total {
      return
        "estimator total, found \(settings.estimator.rawValue): a batch has no variance of each \(row)"
    }
    switch settings.momentum {
    case .weight(let weight):
      return "a half-life in records or in event time, or momentum cumulative, found momentum "
        + "\(numberText(weight)): it weighs batches, and a batch has few records of a \(row)"
    case .halfLifeSeconds:
      return "a half-life in records or in event time, or momentum cumulative, found one in seconds"
    case .halfLifeRecords where !settings.biasCorrection:
      return "bias_correction true, found false, with which μ = 0 counts too"
    case .halfLifeRecords, .halfLifeEventTime, .cumulative: return nil
    }
  }
}
