package import BatchNormalization
package import Configuration
internal import State

/// The settings of the operator that normalises.
package enum NormalizeSettings {
  package static let group = SettingGroup(
    "Normalisation", section: "normalize",
    [
      mode, updateFirst, preset, halfLifeRecords, halfLifeSeconds, halfLifeEventTime,
      momentum, epsilonRelative, epsilon,
      estimator, variance, biasCorrection, centerOnly, scaleOnly, inverse, warmUpRecords,
      warmUpEmission, frozen, clip,
      varianceFloor,
      renormMaxScale, renormMaxShift, priorCheckpoint, priorValues, limitMean, limitDeviation,
      weightColumn, weightClass, weightPrior, timeColumn, timeFormat, futureLimit,
    ] + keySettings,
    presets: NormalizationPreset.allCases.map { preset($0) },
    rules: [
      .only([renormMaxScale, renormMaxShift], when: mode, is: .renorm),
      SettingRule { values in
        var found: [SettingViolation] = []
        // A preset may say it for mode `running` alone.
        if values.isGiven(updateFirst), values[updateFirst], values[mode] != .running {
          found.append(
            SettingViolation(
              updateFirst, expected: .other(mode, is: NormalizationMode.running.rawValue),
              found: values[mode].rawValue))
        }
        if values.isGiven(variance), values[estimator] != .batchNorm {
          found.append(
            SettingViolation(
              variance, expected: .other(estimator, is: VarianceEstimator.batchNorm.rawValue),
              found: "total, the variance of all values"))
        }
        if values.isGiven(biasCorrection),
          let momentum = NormalizationSettings(values).momentum.withoutInitialValues
        {
          found.append(
            SettingViolation(
              biasCorrection, expected: .value("momentum as a number, or half_life.records"),
              found: "\(momentum), in which the initial values have no part"))
        }
        return found
      },
      SettingRule { values in
        var found: [SettingViolation] = []
        for only in [centerOnly, scaleOnly] where values[only] && values[mode] == .renorm {
          found.append(
            SettingViolation(
              only,
              expected: .said(
                "expected mode running or batch, found \(values[mode].rawValue)"), found: ""))
        }
        if values[inverse], values[mode] != .running || !values[frozen] {
          found.append(
            SettingViolation(
              inverse, expected: .said("expected frozen moments in mode running"), found: ""))
        }
        if values[centerOnly], values[scaleOnly] {
          found.append(
            SettingViolation(
              scaleOnly, expected: .absence(beside: centerOnly, "true"), found: "true"))
        }
        return found
      },
      .oneOf(
        [momentum, halfLifeRecords, halfLifeSeconds, halfLifeEventTime],
        "one of momentum and a half-life"),
      .oneOf([epsilon, epsilonRelative], "an absolute ε or a relative one"),
      .never([warmUpEmission], beside: warmUpRecords, is: 0),
      .never([updateFirst], beside: frozen, is: true),
      .anyIn(
        "half_life", [halfLifeRecords, halfLifeSeconds, halfLifeEventTime],
        "records, seconds or event_time"),
      .anyIn("prior", [priorCheckpoint, priorValues], "checkpoint and values"),
      .anyIn("limit", [limitMean, limitDeviation], "mean or deviation"),
      .anyIn("weight", [weightColumn, weightClass, weightPrior], "column or class"),
      .anyIn("time", [timeColumn, futureLimit], "column"),
      .anyIn("key", [keyColumns], "columns"),
      SettingRule(priorViolations), SettingRule(timeViolations), SettingRule(keyViolations),
      SettingRule(classViolations),
    ],
    retired: [
      SettingRetirement("warm_up.batches", option: "--warm-up-batches", replacement: warmUpRecords)
    ])

  private static let defaults = NormalizationSettings()

  package static let mode = Setting<NormalizationMode>(
    "mode", .choice, default: defaults.mode, option: .value("mode", "name"),
    help: "The moments that normalise a batch: its own (`batch`), the running ones (`running`), or "
      + "its own ones corrected towards the running ones (`renorm`).")

  package static let updateFirst = Setting(
    "update_first", .bool, default: defaults.updateFirst,
    option: .flag(
      "update-first", help: "Mode `running`: update the moments with each batch first."),
    help: "Mode `running`: whether the moments are updated with a batch before they normalise it.")

  package static let preset = Setting<NormalizationPreset?>(
    "preset", .choice, option: .value("preset", "name"),
    help: "Start from the settings of a library or a use. Other settings override them.")

  package static let halfLifeRecords = Setting(
    "half_life.records", .positive, defaultText: "1700",
    option: .value("half-life-records", "n"),
    help: "After this many values of a feature, a value's weight in the running moments has halved."
  )

  package static let halfLifeSeconds = Setting(
    "half_life.seconds", .seconds(in: 0.001...3_153_600_000),
    help: "In place of that: after this time, such as `10m`, a value's weight has halved.")

  package static let momentum = Setting(
    "momentum", momentumType, option: .value("momentum", "a"),
    help: "In place of a half-life: the weight of a new batch, as in PyTorch (Keras' momentum is 1 "
      + "minus it), or `cumulative`: every value weighs the same.")

  package static let epsilonRelative = Setting(
    "epsilon.relative", .number(atLeast: 0), defaultText: "1e-5",
    option: .value("epsilon-relative", "r"),
    help: "This share of a variance is added to it, so that the unit of a feature does not matter. "
      + "If the sum is 0, every value becomes β.")

  package static let epsilon = Setting(
    "epsilon", .number(atLeast: 0), option: .value("epsilon", "e"),
    help: "In place of that: added to every variance, in the squared unit of the feature.")

  package static let estimator = Setting<VarianceEstimator>(
    "estimator", .choice, default: defaults.estimator, option: .value("estimator", "name"),
    help:
      "The running variance: the average of those within batches (`batch_norm`), or the variance "
      + "of all values (`total`).")

  package static let variance = Setting<BatchVariance>(
    "variance", .choice, default: defaults.variance, option: .value("variance", "name"),
    help:
      "Estimator `batch_norm`: the divisor of a batch's variance when it enters the running one, "
      + "n - 1 (`unbiased`) or n (`biased`).")

  package static let biasCorrection = Setting(
    "bias_correction", .bool, default: defaults.biasCorrection,
    option: .value("bias-correction", "true|false"),
    help: "Whether early batches have more weight, so that the initial values have no effect.")

  package static let centerOnly = Setting(
    "center_only", .bool, default: false,
    option: .flag("center-only", help: "Subtract the mean, and divide by nothing."),
    help: "Whether to subtract the mean and divide by nothing: y = γ (x − μ) + β.")

  package static let scaleOnly = Setting(
    "scale_only", .bool, default: false,
    option: .flag("scale-only", help: "Divide by the deviation, and subtract no mean."),
    help: "Whether to divide by the deviation and subtract no mean: y = γ x / σ + β.")

  package static let inverse = Setting(
    "inverse", .bool, default: false,
    option: .flag(
      "inverse",
      help:
        "Make x of y, by the frozen moments of a checkpoint, in float64 by default; features of Arrow keep their width. "
        + "Limits of `clip` are not undone."),
    help:
      "Whether to make x of y, by frozen moments in mode `running`; `output.precision` is `float64` then, "
      + "unless it is given; features of Arrow that stays Arrow keep their width. Limits of `clip` are not undone."
  )

  package static let warmUpRecords = Setting(
    "warm_up.records", .integer(in: 0...StateColumn.countLimit), default: defaults.warmUp.records,
    option: .value("warm-up-records", "n"),
    help:
      "A feature is in warm-up until its running moments have seen this many of its values, and "
      + "while their variance is 0. `0` is no warm-up.")

  package static let warmUpEmission = Setting<WarmUp.Emission>(
    "warm_up.emit", .choice, default: defaults.warmUp.emission,
    option: .value("warm-up-emit", "what"),
    help:
      "Until then a value is normalised by all values up to and including it (`prefix`), or is "
      + "written as it is (`pass`) or as `missing`; or the first records of the stream are held back "
      + "(`hold`), at most 1,048,576 of them.")

  package static let frozen = Setting(
    "frozen", .bool, default: defaults.isFrozen,
    option: .flag("frozen", help: "Do not update the running moments (inference)."),
    help: "Whether to stop updates of the running moments (inference).")

  package static let clip = Setting(
    "clip", clipType, default: defaults.clip, option: .value("clip", "z"),
    help:
      "The limit of a normalised value before γ and β, in standard deviations, or `off`. Limited "
      + "values are counted.")

  package static let varianceFloor = Setting(
    "variance_floor", .number(atLeast: 0), option: .value("variance-floor", "v"),
    help: "The least variance to normalise by.")

  package static let renormMaxScale = Setting(
    "renorm.max_scale", .number(atLeast: 1), default: defaults.renormMaxScale,
    option: .value("renorm-max-scale", "r"), help: "Mode `renorm`: the bound of r.")

  package static let renormMaxShift = Setting(
    "renorm.max_shift", .number(atLeast: 0), default: defaults.renormMaxShift,
    option: .value("renorm-max-shift", "d"), help: "Mode `renorm`: the bound of d.")

  private static let clipType = SettingType<Double?>(
    expected: "a finite number above 0, or off", words: ["off"], range: "above 0",
    text: { $0.map(numberText) ?? "off" },
    parse: { (text) throws(SettingRefusal) in
      if text == "off" { return nil }
      guard let limit = Double(text), limit.isFinite, limit > 0 else { throw SettingRefusal() }
      return limit
    })

  private static let momentumType = SettingType<Momentum>(
    expected: "a number above 0, at most 1, or cumulative",
    text: { momentum in
      if case .weight(let weight) = momentum { numberText(weight) } else { "cumulative" }
    },
    parse: { (text) throws(SettingRefusal) in
      if text == "cumulative" { return .cumulative }
      guard let weight = Double(text), weight > 0, weight <= 1 else { throw SettingRefusal() }
      return .weight(weight)
    })
}

// Settings that exclude each other: the one that a user gives counts before the one that a preset sets.
extension NormalizeSettings {
  fileprivate static func momentum(_ values: SettingValues) -> Momentum? {
    values.firstGiven([
      (halfLifeRecords, values[halfLifeRecords].map { .halfLifeRecords($0) }),
      (halfLifeSeconds, values[halfLifeSeconds].map { .halfLifeSeconds($0) }),
      (halfLifeEventTime, values[halfLifeEventTime].map { .halfLifeEventTime($0) }),
      (momentum, values[momentum]),
    ])
  }

  fileprivate static func epsilon(_ values: SettingValues) -> Epsilon? {
    values.firstGiven([
      (epsilonRelative, values[epsilonRelative].map { .relative($0) }),
      (epsilon, values[epsilon].map { .absolute($0) }),
    ])
  }

  /// A preset with every setting that it means, whether or not that differs from the default.
  private static func preset(_ name: NormalizationPreset) -> SettingPreset {
    let values = NormalizationSettings(preset: name)
    var sets: [SettingAssignment] = [.set(updateFirst, to: values.updateFirst)]
    switch values.momentum {
    case .halfLifeRecords(let records): sets.append(.set(halfLifeRecords, to: records))
    case .halfLifeSeconds(let seconds): sets.append(.set(halfLifeSeconds, to: seconds))
    case .halfLifeEventTime(let seconds): sets.append(.set(halfLifeEventTime, to: seconds))
    case .weight, .cumulative: sets.append(.set(momentum, to: values.momentum))
    }
    switch values.epsilon {
    case .absolute(let number): sets.append(.set(epsilon, to: number))
    case .relative(let share): sets.append(.set(epsilonRelative, to: share))
    }
    sets.append(.set(estimator, to: values.estimator))
    if values.estimator == .batchNorm { sets.append(.set(variance, to: values.variance)) }
    sets += [
      .set(biasCorrection, to: values.biasCorrection),
      .set(warmUpRecords, to: values.warmUp.records), .set(clip, to: values.clip),
    ]
    return SettingPreset(preset, is: name, sets: sets)
  }
}

extension Momentum {
  /// The name of a momentum to which bias correction makes no difference; nil of another.
  fileprivate var withoutInitialValues: String? {
    switch self {
    case .weight, .halfLifeRecords: nil
    case .cumulative: "momentum cumulative"
    case .halfLifeSeconds: "a half-life in seconds"
    case .halfLifeEventTime: "a half-life in event time"
    }
  }
}

extension NormalizationSettings {
  /// Takes the settings from values. Those of missing values and small batches belong to the whole stream.
  package init(_ values: SettingValues) {
    self.init()
    mode = values[NormalizeSettings.mode]
    updateFirst = values[NormalizeSettings.updateFirst] && mode == .running
    momentum = NormalizeSettings.momentum(values) ?? momentum
    epsilon = NormalizeSettings.epsilon(values) ?? epsilon
    estimator = values[NormalizeSettings.estimator]
    variance = values[NormalizeSettings.variance]
    biasCorrection = values[NormalizeSettings.biasCorrection]
    parts =
      values[NormalizeSettings.centerOnly]
      ? .center : values[NormalizeSettings.scaleOnly] ? .scale : .both
    isInverse = values[NormalizeSettings.inverse]
    warmUp.records = values[NormalizeSettings.warmUpRecords]
    warmUp.emission = values[NormalizeSettings.warmUpEmission]
    isFrozen = values[NormalizeSettings.frozen]
    clip = values[NormalizeSettings.clip]
    varianceFloor = values[NormalizeSettings.varianceFloor]
    key = NormalizeSettings.key(values)
    classes = NormalizeSettings.classes(values)
    renormMaxScale = values[NormalizeSettings.renormMaxScale]
    renormMaxShift = values[NormalizeSettings.renormMaxShift]
    guard values[NormalizeSettings.priorCheckpoint] != nil,
      let count = values[NormalizeSettings.priorValues]
    else { return }
    var prior = Prior(values: count)
    prior.limit.mean = values[NormalizeSettings.limitMean]
    prior.limit.deviation = values[NormalizeSettings.limitDeviation]
    self.prior = prior
  }
}
