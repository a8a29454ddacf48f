package import BatchNormalization
package import Configuration
internal import Records

/// The settings of the operator that learns γ and β.
package enum LearnSettings {
  package static let group = SettingGroup(
    "Learning",
    [
      optimizer, learningRate, schedule, momentum, nesterov, weightDecay, betas, epsilon, clipNorm,
      maxStaleness, weightBounds, gradients, gradientFormat,
    ],
    rules: [
      SettingRule { values in
        guard values[optimizer] == nil, values.isGiven(section: section) else { return [] }
        return [
          SettingViolation(optimizer, expected: .value(optimizer.expected), found: "nothing")
        ]
      },
      only([momentum, nesterov], with: [.sgd]),
      only([betas, epsilon], with: [.adam, .adamw]),
      SettingRule { values in
        guard values[optimizer] == .sgd, values[nesterov], values[momentum] == 0 else { return [] }
        return [
          SettingViolation(
            nesterov, expected: .said("expected a momentum above 0 beside nesterov, found 0"),
            found: "")
        ]
      },
      SettingRule { values in
        guard values[optimizer] != nil, values[NormalizeSettings.inverse] else { return [] }
        return [
          SettingViolation(
            optimizer, expected: .absence(beside: NormalizeSettings.inverse, "true"), found: "")
        ]
      },
    ])

  /// The section of the file that turns learning on.
  package static let section = "parameters.learn"

  package static let optimizer = Setting<LearnOptimizer?>(
    "parameters.learn.optimizer", .choice, defaultText: "γ and β are not learned",
    help:
      "How γ and β move against gradients of a loss: exactly as `torch.optim.SGD` (`sgd`), "
      + "`Adam` (`adam`) or `AdamW` (`adamw`). A section `parameters.learn` needs it.")

  package static let learningRate = Setting(
    "parameters.learn.learning_rate",
    .number(
      expected: "a number above 0, at most 1000000", range: "above 0, at most 1,000,000"
    ) { $0 > 0 && $0 <= 1e6 }, default: 1e-3, help: "The learning rate.")

  package static let schedule = Setting(
    "parameters.learn.schedule", scheduleType, default: [],
    help:
      "When the learning rate changes: `[0.1 after 1000, 0.01 after 5000]` makes it a tenth of `learning_rate` after 1,000 "
      + "steps, and a hundredth after 5,000.")

  package static let momentum = Setting(
    "parameters.learn.momentum", shareType, default: 0,
    help: "Optimizer `sgd`: the share of the velocity that stays with each step.")

  package static let nesterov = Setting(
    "parameters.learn.nesterov", .bool, default: false,
    help: "Optimizer `sgd`: whether the momentum is Nesterov's.")

  package static let weightDecay = Setting(
    "parameters.learn.weight_decay", .number(atLeast: 0), defaultText: "`0`; with `adamw`, `0.01`",
    help:
      "Draws γ and β towards 0: this times γ or β is added to the gradient, or with `adamw` this times the learning rate is "
      + "the share that they lose.")

  package static let betas = Setting(
    "parameters.learn.betas", betasType, default: [0.9, 0.999],
    help:
      "Optimizers `adam` and `adamw`: the shares of the running means of gradients and of squared gradients that stay with "
      + "each step.")

  package static let epsilon = Setting(
    "parameters.learn.epsilon", .number(atLeast: 0), default: 1e-8,
    help: "Optimizers `adam` and `adamw`: added to the root of the mean square.")

  package static let clipNorm = Setting(
    "parameters.learn.clip_norm", .positive, defaultText: "gradients stay as they are",
    help:
      "Gradients of γ and β whose norm together is greater are shortened to it, as `torch.nn.utils.clip_grad_norm_` does."
  )

  package static let maxStaleness = Setting(
    "parameters.learn.max_staleness", .integer(in: 0...LearnColumns.greatestStaleness), default: 8,
    help:
      "Gradients are refused if γ and β have changed more often than this since the version for which they were computed."
  )

  package static let weightBounds = Setting(
    "parameters.learn.weight_bounds", boundsType, default: [1e-3, 1e3],
    help: "The least and the greatest size of γ after a step. A step beyond stops there.")

  package static let gradients = Setting(
    "parameters.learn.gradients", .path, defaultText: "only `POST …/gradients`",
    help:
      "A source of gradients, which the stream takes between its batches: the path of a file that grows, or of a FIFO; or "
      + "one of `follow`, `fifo`, `unix`, `tcp` and `kafka` with its [settings](#source)."
  )

  package static let gradientFormat = Setting<GradientFormat>(
    "parameters.learn.gradients.format", .choice, default: .ndjson,
    help: "The form of these gradients: JSON objects, one a line, or an Arrow stream.")

  /// Refuses settings that other optimizers do not have.
  private static func only(
    _ settings: [any SettingDescription], with optimizers: [LearnOptimizer]
  ) -> SettingRule {
    SettingRule { values in
      guard let found = values[optimizer], !optimizers.contains(found) else { return [] }
      return settings.filter(values.isGiven).map {
        SettingViolation(
          $0,
          expected: .other(
            optimizer, is: optimizers.map(\.rawValue).joined(separator: " or ")),
          found: found.rawValue)
      }
    }
  }

  private static let shareType = SettingType.number(
    expected: "a number of at least 0, below 1", range: "at least 0, below 1", allows: isShare)

  private static let isShare: @Sendable (Double) -> Bool = { $0 >= 0 && $0 < 1 }

  private static let betasType = pairType(
    expected: "two numbers of at least 0, below 1, such as [0.9, 0.999]"
  ) { isShare($0) && isShare($1) }

  private static let boundsType = pairType(
    expected: "two numbers of at least 0, the smaller one first, such as [0.001, 1000]"
  ) { $0 >= 0 && $0 <= $1 && $1 > 0 && $1 <= FeatureColumns.greatest }

  private static func pairType(
    expected: String, allows: @escaping @Sendable (Double, Double) -> Bool
  ) -> SettingType<[Double]> {
    SettingType(
      expected: expected, form: .list, text: { listText($0.map(numberText)) },
      list: { (texts) throws(SettingRefusal) in
        let numbers = texts.compactMap(Double.init)
        guard texts.count == 2, numbers.count == 2, allows(numbers[0], numbers[1]) else {
          throw SettingRefusal()
        }
        return numbers
      })
  }

  private static let scheduleType = SettingType<[LearningRate.Change]>(
    expected: "a list such as [0.1 after 1000, 0.01 after 5000], with rising numbers of steps",
    form: .list,
    text: { listText($0.map { "\(numberText($0.factor)) after \($0.steps)" }) },
    list: { (texts) throws(SettingRefusal) in
      var changes: [LearningRate.Change] = []
      for text in texts {
        let words = text.split(separator: " ")
        guard words.count == 3, words[1] == "after", let factor = Double(words[0]),
          let steps = Int(words[2]), factor > 0, factor <= 1e6, steps > changes.last?.steps ?? 0
        else { throw SettingRefusal() }
        changes.append(LearningRate.Change(factor, afterSteps: steps))
      }
      return changes
    })
}

/// The form of gradients that come from a source.
package enum GradientFormat: String, Sendable, CaseIterable {
  case ndjson
  case arrow
}

/// How γ and β are learned.
package enum LearnOptimizer: String, Sendable, CaseIterable {
  case sgd
  case adam
  case adamw
}

extension AffineOptimizer {
  /// The optimizer that the settings describe; nil if γ and β are not learned.
  init?(_ values: SettingValues) {
    guard let kind = values[LearnSettings.optimizer] else { return nil }
    let decay = values[LearnSettings.weightDecay]
    switch kind {
    case .sgd:
      self.init(
        .sgd(
          momentum: values[LearnSettings.momentum], isNesterov: values[LearnSettings.nesterov]),
        weightDecay: decay ?? 0)
    case .adam, .adamw:
      let betas = values[LearnSettings.betas]
      self.init(
        .adam(
          meanDecay: betas[0], squareDecay: betas[1], epsilon: values[LearnSettings.epsilon],
          decaysApart: kind == .adamw), weightDecay: decay ?? (kind == .adamw ? 0.01 : 0))
    }
  }
}
