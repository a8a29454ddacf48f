package import BatchNormalization
package import Configuration

/// The settings of the operator that normalises.
package enum NormalizeSettings {
  package static let group = SettingGroup(
    "Normalisation", section: "normalize",
    [
      mode, updateFirst, preset, momentum, halfLifeRecords, halfLifeSeconds, epsilon, estimator,
      variance, biasCorrection, warmUpBatches, warmUpEmission, frozen, clip, varianceFloor,
      renormMaxScale, renormMaxShift,
    ],
    presets: NormalizationPreset.allCases.map { name in
      let values = NormalizationSettings(preset: name)
      return SettingPreset(
        preset, is: name,
        sets: [
          .set(momentum, to: values.momentum), .set(epsilon, to: values.epsilon),
          .set(variance, to: values.variance), .set(biasCorrection, to: values.biasCorrection),
        ])
    },
    rules: [
      .only([renormMaxScale, renormMaxShift], when: mode, is: .renorm),
      SettingRule { values in
        var found: [SettingViolation] = []
        if values[updateFirst], values[mode] != .running {
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
        return found
      },
      SettingRule { values in
        let weights: [any SettingDescription] = [momentum, halfLifeRecords, halfLifeSeconds]
        let given = weights.filter(values.isGiven)
        if given.count > 1 {
          return [
            SettingViolation(
              given[1], expected: .value("one of momentum and a half-life"), found: "both")
          ]
        }
        guard values.isGiven(section: "half_life"), given.isEmpty else { return [] }
        return [
          SettingViolation(
            halfLifeRecords, expected: .value("records or seconds"), found: "neither",
            concernsSection: true)
        ]
      },
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
    help: "Start from the settings of `pytorch` or `keras`. Other settings override them.")

  package static let momentum = Setting(
    "momentum", momentumType, default: defaults.momentum, option: .value("momentum", "a"),
    help: "The weight of a new batch, as in PyTorch (Keras' momentum is 1 minus it), or "
      + "`cumulative`: every value weighs the same.")

  package static let halfLifeRecords = Setting(
    "half_life.records", .positive, option: .value("half-life-records", "n"),
    help:
      "Instead of `momentum`: the number of values of a feature after which a value's weight has halved."
  )

  package static let halfLifeSeconds = Setting(
    "half_life.seconds", .seconds(in: 0.001...3_153_600_000),
    help: "Instead of `momentum`: the time, such as `10m`, after which a value's weight has halved."
  )

  package static let epsilon = Setting(
    "epsilon", .positive, default: defaults.epsilon, option: .value("epsilon", "e"),
    help: "Added to every variance, in the squared unit of the feature.")

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

  package static let warmUpBatches = Setting(
    "warm_up.batches", .integer(in: 0...Int.max), default: defaults.warmUp.batches,
    option: .value("warm-up-batches", "n"),
    help: "The number of batches before the running moments are used.")

  package static let warmUpEmission = Setting<WarmUp.Emission>(
    "warm_up.emit", .choice, default: defaults.warmUp.emission,
    option: .value("warm-up-emit", "what"),
    help:
      "Before that, records are normalised by their own `batch`, `pass` unchanged, or are held "
      + "(`hold`), at most 1,048,576 of them.")

  package static let frozen = Setting(
    "frozen", .bool, default: defaults.isFrozen,
    option: .flag("frozen", help: "Do not update the running moments (inference)."),
    help: "Whether to stop updates of the running moments (inference).")

  package static let clip = Setting(
    "clip", .positive, option: .value("clip", "z"),
    help: "The limit of a normalised value before γ and β, in standard deviations.")

  package static let varianceFloor = Setting(
    "variance_floor", .number(atLeast: 0), option: .value("variance-floor", "v"),
    help: "The least variance to normalise by.")

  package static let renormMaxScale = Setting(
    "renorm.max_scale", .number(atLeast: 1), default: defaults.renormMaxScale,
    option: .value("renorm-max-scale", "r"), help: "Mode `renorm`: the bound of r.")

  package static let renormMaxShift = Setting(
    "renorm.max_shift", .number(atLeast: 0), default: defaults.renormMaxShift,
    option: .value("renorm-max-shift", "d"), help: "Mode `renorm`: the bound of d.")

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

extension NormalizationSettings {
  /// Takes the settings from values. Those of missing values and small batches belong to the whole stream.
  package init(_ values: SettingValues) {
    self.init()
    mode = values[NormalizeSettings.mode]
    updateFirst = values[NormalizeSettings.updateFirst]
    momentum =
      values[NormalizeSettings.halfLifeRecords].map { .halfLifeRecords($0) }
      ?? values[NormalizeSettings.halfLifeSeconds].map { .halfLifeSeconds($0) }
      ?? values[NormalizeSettings.momentum]
    epsilon = values[NormalizeSettings.epsilon]
    estimator = values[NormalizeSettings.estimator]
    variance = values[NormalizeSettings.variance]
    biasCorrection = values[NormalizeSettings.biasCorrection]
    warmUp.batches = values[NormalizeSettings.warmUpBatches]
    warmUp.emission = values[NormalizeSettings.warmUpEmission]
    isFrozen = values[NormalizeSettings.frozen]
    clip = values[NormalizeSettings.clip]
    varianceFloor = values[NormalizeSettings.varianceFloor]
    renormMaxScale = values[NormalizeSettings.renormMaxScale]
    renormMaxShift = values[NormalizeSettings.renormMaxShift]
  }
}
