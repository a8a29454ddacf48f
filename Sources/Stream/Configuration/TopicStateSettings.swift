internal import BatchNormalization
package import Configuration
internal import Connectors
internal import Operators

/// The settings of a state in a topic: one for each partition of the source.
package enum TopicStateSettings {
  package static let section = "state"
  package static let group = SettingGroup(
    "State in a topic", [topic, creates, everyRecords, everyTime, scope, viewAhead],
    rules: [
      SettingRule { values in
        guard values.isGiven(section: section), values[topic] == nil else { return [] }
        return [SettingViolation(topic, expected: .value(topic.expected), found: "nothing")]
      },
      SettingRule { values in
        guard values[topic] != nil else { return [] }
        let others: [any SettingDescription] = [
          StateSettings.interval, StateSettings.everyBatches, StateSettings.keep,
        ]
        return others.filter(values.isGiven).map {
          SettingViolation(
            $0,
            expected: .value(
              "state.every beside state.topic, since no checkpoint is in the state directory"),
            found: $0.key ?? "")
        }
      },
      SettingRule { values in
        guard values[topic] != nil, values[NormalizeSettings.halfLifeSeconds] != nil else {
          return []
        }
        return [
          SettingViolation(
            NormalizeSettings.halfLifeSeconds,
            expected: .value(
              "a half-life in records or in event time beside state.topic, so that records read again give the same "
                + "output"), found: "one by the clock")
        ]
      },
      SettingRule { values in
        scopeViolations(values)
      },
    ])

  package static let topic = Setting(
    "state.topic", .topic, defaultText: "checkpoints are files of the state directory",
    help:
      "A source `kafka` with a sink `kafka`: the topic with the state of each partition. Each partition then has "
      + "moments of its own. [KAFKA.md](KAFKA.md#state-in-a-topic) tells more.")

  package static let creates = Setting(
    "state.create", .bool, default: false,
    help: "Whether the topic is made if it does not exist, with as many partitions as the source.")

  package static let everyRecords = Setting(
    "state.every.records", .integer(in: 1...1_000_000_000), default: 10_000,
    help: "A state is written at the first cut of a batch after this many records.")

  package static let everyTime = Setting(
    "state.every.time", .seconds(in: 0.01...3600), default: 1,
    help: "A state is written at the first cut of a batch after this time too.")

  package static let scope = Setting<MomentScope>(
    "state.scope", .choice, default: .partition,
    help:
      "Whether a record is normalised by the moments of its partition (`partition`), or by those of all "
      + "partitions (`global`). [KAFKA.md](KAFKA.md#one-scale-for-all-partitions) tells how old the latter may be."
  )

  package static let viewAhead = Setting(
    "state.view_ahead", .seconds(in: 0...31_536_000), default: 300,
    help:
      "With `state.scope: global` and event times: how much newer the moments of another partition may be. Newer ones "
      + "wait until the partition has caught up.")

  /// How much newer, in seconds, the moments of other partitions may be; nil if each has its own alone.
  static func viewAheadSeconds(_ values: SettingValues) -> Double? {
    values[topic] != nil && values[scope] == .global ? values[viewAhead] : nil
  }

  /// The settings under which the moments of several partitions do not add up.
  private static func scopeViolations(_ values: SettingValues) -> [SettingViolation] {
    guard values[scope] == .global else {
      return values.isGiven(viewAhead)
        ? [SettingViolation(viewAhead, expected: .other(scope, is: "global"), found: "partition")]
        : []
    }
    func refused(_ expected: String, _ found: String) -> [SettingViolation] {
      [SettingViolation(scope, expected: .said("expected \(expected), found \(found)"), found: "")]
    }
    if values[topic] == nil {
      return [SettingViolation(scope, expected: .other(topic, is: "NAME"), found: "none")]
    }
    let settings = NormalizationSettings(values)
    if settings.key != nil || settings.classes != nil {
      return refused("no keys or classes beside global", "some")
    }
    guard settings.estimator == .total else {
      return refused(
        "estimator total beside global, so that the moments of partitions add up",
        settings.estimator.rawValue)
    }
    switch settings.momentum {
    case .cumulative, .halfLifeEventTime: return []
    case .weight, .halfLifeRecords, .halfLifeSeconds:
      return refused(
        "momentum cumulative or half_life.event_time beside global, so that the moments of partitions add up",
        "another momentum")
    }
  }

  /// The times at which states are written.
  static func schedule(_ values: SettingValues) -> CheckpointSchedule {
    CheckpointSchedule(
      intervalSeconds: values[everyTime], everyRecords: values[everyRecords], atTimedCuts: true)
  }

  /// The settings that do not fit a source or a sink.
  static func violations(
    _ source: SourceDefinition, _ sink: SinkDefinition, _ values: SettingValues
  ) -> [SettingViolation] {
    let deliveries = deliveryViolations(source, sink, values)
    guard deliveries.isEmpty else { return deliveries }
    guard let name = values[topic] else {
      guard source.kind.name == SourceKind.kafka.name, source.values[KafkaSettings.group] != nil
      else { return [] }
      return [
        SettingViolation(
          topic,
          expected: .value(
            "a state topic beside the group of the source, as partitions move between processes"),
          found: "nothing")
      ]
    }
    func refused(_ expected: String, _ found: String) -> SettingViolation {
      SettingViolation(topic, expected: .value(expected), found: found)
    }
    guard source.kind.name == SourceKind.kafka.name else {
      return [refused("a source kafka beside it", source.kind.name)]
    }
    guard sink.kind.name == SinkKind.kafka.name else {
      return [refused("a sink kafka beside it", sink.kind.name)]
    }
    return [source.values, sink.values].contains { $0[KafkaSettings.topic] == name }
      ? [refused("a topic other than those of the source and the sink", "one of them")] : []
  }

  /// The settings with which transactions cannot hold a state and its output together.
  private static func deliveryViolations(
    _ source: SourceDefinition, _ sink: SinkDefinition, _ values: SettingValues
  ) -> [SettingViolation] {
    guard sink.kind.name == SinkKind.kafka.name,
      sink.values[KafkaSettings.delivery] == .exactlyOnce
    else { return [] }
    func refused(_ expected: String, _ found: String) -> [SettingViolation] {
      [
        SettingViolation(
          KafkaSettings.delivery, expected: .said("expected \(expected), found \(found)"), found: ""
        )
      ]
    }
    guard values[topic] != nil else {
      return refused(
        "state.topic beside exactly_once, as a transaction holds the state too", "none")
    }
    guard source.kind.name == SourceKind.kafka.name else { return [] }
    let (brokers, others) = (KafkaSettings.brokers, source.values)
    guard others[brokers].sorted() == sink.values[brokers].sorted() else {
      return refused("the brokers of the source beside exactly_once", "others")
    }
    guard KafkaSettings.areLetters(values, of: sink.values) else {
      return refused(
        "dead letters with the brokers of the sink, and no other properties, beside exactly_once",
        "others")
    }
    return []
  }

  /// The partitions of a source that keep their state in a topic; nil if they do not.
  static func partitions(
    _ source: SourceDefinition, _ sink: SinkDefinition, _ values: SettingValues, of stream: String
  ) -> PartitionedTopic? {
    guard source.kind.name == SourceKind.kafka.name, let name = values[topic] else { return nil }
    return PartitionedTopic(
      source.values, sink.values, state: name, creates: values[creates], of: stream,
      epochSeconds: values[everyTime] + values[BatchSettings.maxDelay])
  }
}

/// The moments by which the records of a partition are normalised.
package enum MomentScope: String, Sendable, CaseIterable {
  /// Those of the partition.
  case partition
  /// Those of all partitions.
  case global
}
