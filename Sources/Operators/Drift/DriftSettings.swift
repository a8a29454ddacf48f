internal import BatchNormalization
package import Configuration

/// The settings of the operator that watches for drift.
package enum DriftSettings {
  package static let group = SettingGroup(
    "Drift", [watch, reference, referenceFile, falseAlarms, distribution, actions, webhook],
    rules: [
      .only(
        [reference, referenceFile, falseAlarms, distribution, actions, webhook], when: watch,
        is: .on),
      .oneOf([reference, referenceFile], "one of a kind of reference and a file"),
      SettingRule { values in
        guard values[reference] == .slow, !follows(values) else { return [] }
        return [
          SettingViolation(
            reference, expected: .said("expected start with momentum cumulative, found slow"),
            found: "")
        ]
      },
      SettingRule { values in
        let isAction = values[actions].contains(.webhook)
        if isAction, values[watch] == .on, values[webhook] == nil {
          return [
            SettingViolation(
              actions, expected: .said("expected drift.webhook beside webhook, found none"),
              found: "")
          ]
        }
        guard values.isGiven(webhook), !isAction else { return [] }
        return [
          SettingViolation(
            webhook, expected: .said("expected webhook among the actions, found none"), found: "")
        ]
      },
    ])

  package static let watch = Setting<DriftWatch>(
    "drift", .choice, default: .off, defaultText: "`on` in `run`, `off` in commands",
    option: .value("drift", "on|off"),
    help:
      "Whether alarms tell when a feature drifts: its mean, its deviation, or its share of missing or clipped values. "
      + "A section `drift` means `on`.")

  package static let reference = Setting<DriftReference?>(
    "drift.reference", .choice, defaultText: "`slow`; with momentum `cumulative`, `start`",
    option: .value("drift-reference", "kind"),
    help:
      "What a feature is compared with: the first 1,000 batches (`start`), the state that the stream starts from "
      + "(`checkpoint`), or moments with 20 times the half-life (`slow`).")

  package static let referenceFile = Setting(
    "drift.reference.file", .path, option: .value("drift-reference-file", "checkpoint"),
    optionType: .shellPath,
    help: "In place of that: a checkpoint, such as that of the training data.")

  package static let falseAlarms = Setting(
    "drift.false_alarms", falseAlarmType, default: .perSeconds(30 * 86_400),
    option: .value("drift-false-alarms", "rate"),
    help:
      "How often a stream that does not drift may alarm all the same: `1 per 30d`, or `1 per 100000 batches`. Rarer false "
      + "alarms make true ones later.")

  package static let distribution = Setting(
    "drift.distribution", .bool, default: false,
    option: .flag(
      "drift-distribution",
      help: "With --drift on: also watch the distribution of the normalised values, in 16 bins."),
    help:
      "Whether a chart also watches the distribution of the normalised values, in 16 bins: by the population stability "
      + "index, as a multiple of what chance gives.")

  package static let actions = Setting(
    "drift.actions", actionType, default: [.log, .metric],
    option: .value("drift-actions", "list"),
    help:
      "What an alarm does: a line in the log (`log`), series in the metrics (`metric`), a reason against readiness "
      + "(`warn`), moments of the feature that stand still (`freeze`), a POST (`webhook`).")

  package static let webhook = Setting(
    "drift.webhook", webhookType, help: "Action `webhook`: the URL that gets each alarm as JSON.")

  package static let falseAlarmType = SettingType<FalseAlarmRate>(
    expected: "a rate such as 1 per 30d or 1 per 100000 batches",
    text: { $0.text },
    parse: { (text) throws(SettingRefusal) in
      guard let rate = FalseAlarmRate(text) else { throw SettingRefusal() }
      return rate
    })

  private static let actionType = SettingType<[DriftAction]>(
    expected: "a list of \(DriftAction.allCases.map(\.rawValue).joined(separator: ", "))",
    form: .list, words: DriftAction.allCases.map(\.rawValue),
    text: { listText($0.map(\.rawValue)) },
    list: { (texts) throws(SettingRefusal) in
      var actions: [DriftAction] = []
      for text in texts {
        guard let action = DriftAction(rawValue: text) else {
          throw .nearest(to: text, in: DriftAction.allCases.map(\.rawValue))
        }
        if !actions.contains(action) { actions.append(action) }
      }
      return actions
    })

  private static let webhookType = SettingType<WebhookAddress>(
    expected: "a URL such as http://127.0.0.1:9000/alarm", text: { $0.text },
    parse: { (text) throws(SettingRefusal) in
      if text.hasPrefix("https://") {
        throw SettingRefusal(
          expected: "a URL that begins with http://", found: "one with https",
          hint: "a proxy on this machine can lead to it")
      }
      guard let address = WebhookAddress(text) else { throw SettingRefusal() }
      return address
    })

  /// Whether the running moments forget, so that slower ones can follow.
  private static func follows(_ values: SettingValues) -> Bool {
    NormalizationSettings(values).momentum != .cumulative
  }

  /// The kind of reference in force; nil if it is a file.
  static func referenceInForce(_ values: SettingValues) -> DriftReference? {
    if values[referenceFile] != nil { return nil }
    return values[reference] ?? (follows(values) ? .slow : .start)
  }
}

/// Whether drift is watched for.
package enum DriftWatch: String, Sendable, CaseIterable {
  case on
  case off
}

/// The state that a feature is compared with.
package enum DriftReference: String, Sendable, CaseIterable {
  case start
  case checkpoint
  case slow
}

/// An effect of an alarm.
package enum DriftAction: String, Sendable, CaseIterable {
  case log
  case metric
  case warn
  case freeze
  case webhook
}

/// How often a stream that does not drift may alarm.
package enum FalseAlarmRate: Sendable, Equatable {
  case perSeconds(Double)
  case perBatches(Double)

  private static let seconds = SettingType<Double>.seconds(in: 60...3_153_600_000)

  /// Reads `1 per 30d` or `1 per 100000 batches`.
  package init?(_ text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count >= 3, words[0] == "1", words[1] == "per" else { return nil }
    if words.count == 4, words[3] == "batches" {
      guard let batches = Int(words[2]), batches >= 10, batches <= 1 << 50 else { return nil }
      self = .perBatches(Double(batches))
    } else {
      guard words.count == 3, let seconds = try? Self.seconds.parse([words[2]]) else { return nil }
      self = .perSeconds(seconds)
    }
  }

  /// As a user writes it.
  package var text: String {
    switch self {
    case .perSeconds(let seconds): "1 per \(Self.seconds.text(seconds) ?? "")"
    case .perBatches(let batches): "1 per \(Int(batches)) batches"
    }
  }
}

/// The address that gets alarms by HTTP.
package struct WebhookAddress: Sendable, Equatable {
  package let host: String
  package let port: Int
  /// With its query.
  package let path: String

  /// Reads `http://HOST:PORT/PATH`; nil for any other text.
  package init?(_ text: String) {
    let scheme = "http://"
    guard text.hasPrefix(scheme),
      text.unicodeScalars.allSatisfy({ $0.isASCII && $0.value > 32 && $0.value != 127 })
    else { return nil }
    let rest = text.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    guard !authority.contains("@"), !authority.contains("#") else { return nil }
    let tail = rest.dropFirst(authority.count)
    var name = authority
    var number = 80
    if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
      guard let found = Int(authority[authority.index(after: colon)...]),
        (1...65_535).contains(found)
      else { return nil }
      (name, number) = (authority[..<colon], found)
    }
    if name.first == "[", name.last == "]" { name = name.dropFirst().dropLast() }
    guard !name.isEmpty else { return nil }
    host = String(name)
    port = number
    path = tail.first == "/" ? String(tail) : "/" + tail
  }

  package var text: String {
    "http://\(host.contains(":") ? "[\(host)]" : host):\(port)\(path)"
  }
}
