internal import BatchNormalization
package import Configuration
package import Records

// The columns that are no features and tell the normaliser something about each record.
extension NormalizeSettings {
  package static let weightColumn = Setting(
    RoleColumn.weightKey, .text(called: "a column"), option: .value("weight-column", "name"),
    help:
      "A column that tells how much each record counts in the moments: 0 to 1, `true` or `false`. The record is "
      + "normalised all the same, and the column passes as it is.")

  package static let timeColumn = Setting(
    RoleColumn.timeKey, .text(called: "a column"), option: .value("time-column", "name"),
    help:
      "The column with the time at which each record happened, for `half_life.event_time`. A bad time makes a bad "
      + "record. Without it, records of a topic have the timestamps of their messages.")

  /// Whether the messages of the source have timestamps. A user does not set it.
  package static let messageTimes = Setting(
    nil, .bool, default: false, help: "Whether the messages of the source have timestamps.")

  /// Whether the timestamps of messages are the event times of their records.
  package static func usesMessageTimes(_ values: SettingValues) -> Bool {
    values[messageTimes] && values[timeColumn] == nil
      && (NormalizationSettings(values).momentum.eventHalfLife != nil || values[keyIdle] != nil
        || values.isGiven(futureLimit))
  }

  package static let timeFormat = Setting<TimeFormat>(
    "time.format", .choice, default: .iso8601, option: .value("time-format", "name"),
    help:
      "How the column spells times: a date and a time of ISO 8601, UTC if it has no offset, or a number since 1970."
  )

  package static let futureLimit = Setting(
    "time.future_limit", .seconds(in: 0...31_622_400), default: 3600,
    option: .value("time-future-limit", "time"),
    help:
      "A record whose time is later than this after the clock, and after the newest record, is a bad record."
  )

  package static let halfLifeEventTime = Setting(
    "half_life.event_time", .seconds(in: 0.001...3_153_600_000),
    option: .value("half-life-event-time", "time"),
    help:
      "In place of that: after this time in the column of `time`, such as `10m`, a value's weight has halved, in "
      + "whatever order and how fast the records come.")

  /// The needs of event times that the values do not meet.
  @Sendable static func timeViolations(_ values: SettingValues) -> [SettingViolation] {
    if values[timeColumn] == nil {
      var missing: [any SettingDescription] = [timeFormat, futureLimit, halfLifeEventTime]
      // A timestamp has one form.
      if values[messageTimes] { missing = [timeFormat] }
      let given = missing.filter(values.isGiven)
      guard given.isEmpty, values[messageTimes] else {
        return given.map {
          SettingViolation($0, expected: .other(timeColumn, is: "NAME"), found: "none")
        }
      }
    }
    guard NormalizationSettings(values).momentum.eventHalfLife != nil, values[estimator] != .total
    else { return [] }
    return [
      SettingViolation(
        halfLifeEventTime,
        expected: .other(estimator, is: VarianceEstimator.total.rawValue),
        found: values[estimator].rawValue)
    ]
  }

  /// The role columns that the values name.
  package static func roles(_ values: SettingValues) -> [RoleColumn] {
    var roles: [RoleColumn] = []
    if let name = values[weightColumn] { roles.append(RoleColumn(.weight, name: name)) }
    if let name = values[timeColumn] {
      roles.append(RoleColumn(.time(values[timeFormat]), name: name))
    }
    if let classes = classes(values) {
      let names = classes.shares.map { Array($0.name.utf8) }
      roles.append(RoleColumn(.className(among: names), name: classes.column))
    }
    for (place, name) in (values[keyColumns] ?? []).enumerated() {
      roles.append(RoleColumn(.key(place), name: name))
    }
    return roles
  }

  /// The setting that names a role column.
  package static func setting(of role: RoleColumn) -> any SettingDescription {
    switch role.role {
    case .weight: weightColumn
    case .time: timeColumn
    case .key: keyColumns
    case .className: weightClass
    }
  }
}
