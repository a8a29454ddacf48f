internal import Glibc
internal import Records
package import State

/// The verdict of one chart on a feature, in the units of its user.
package struct DriftAlarm: Sendable, Equatable, CustomStringConvertible {
  package let feature: String
  package let kind: DriftKind
  package let phase: DriftPhase
  /// The reference, and the level since `batch`: a mean, a deviation, a share, or the difference of a distribution as a
  /// multiple of that by chance.
  package let reference: Double
  package let level: Double
  /// How far the level is: a mean in reference deviations, a deviation and the difference of a distribution as a multiple
  /// of the reference, a share as a difference.
  package let size: Double
  /// The greater score as a share of the threshold.
  package let score: Double
  /// The batch and the record since which it drifts, counted from 1; 0 if it is at its reference.
  package let batch: Int
  package let record: Int
  /// How long ago that was; nil in files.
  package let seconds: Double?
  /// The alarms of the chart so far.
  package let alarms: Int
  /// The pools of batches that the chart has taken in.
  package let pools: Int
  /// The partition of the feature, if each is processed by itself.
  package private(set) var partition: Int?

  /// - Parameters:
  ///   - chart: the chart.
  ///   - spread: the chart of the feature's deviation.
  ///   - now: the time of the stream; nil in files.
  init(
    _ feature: String, _ kind: DriftKind, _ chart: DriftChart, spread: DriftChart,
    threshold: Double, now: Double?
  ) {
    self.feature = feature
    self.kind = kind
    phase = chart.phase
    let isMoved = chart.phase.isDrifting
    let level = isMoved ? chart.level : chart.spread.last
    switch kind {
    case .mean:
      let deviation = exp(spread.reference)
      (reference, self.level) = (chart.reference, level)
      size = deviation > 0 ? (level - chart.reference) / deviation : 0
    case .spread:
      (reference, self.level) = (exp(chart.reference), exp(level))
      size = exp(level - chart.reference)
    case .missing, .clipped, .keys:
      (reference, self.level) = (DriftShare.share(chart.reference), DriftShare.share(level))
      size = self.level - reference
    case .distribution:
      (reference, self.level) = (DriftAlarm.cubed(chart.reference), DriftAlarm.cubed(level))
      size = reference > 0 ? self.level / reference : 0
    }
    score = chart.score(by: threshold)
    let since = chart.side.since
    let isAway = chart.side.score > 0
    batch = isAway ? since.batch : 0
    record = isAway ? since.record : 0
    seconds = isAway ? now.map { max(0, $0 - since.seconds) } : nil
    alarms = chart.alarms
    pools = chart.pools
  }

  /// The values of a feature that make a pool.
  package static let leastValues = DriftPool.leastValues

  /// The verdict on a feature of a partition.
  package func of(partition: Int) -> DriftAlarm {
    var alarm = self
    alarm.partition = partition
    return alarm
  }

  /// Whether the chart has learned enough to judge.
  package var isJudged: Bool { pools > DriftRules.silentPools }

  /// A sentence for people, without the feature.
  package var text: String {
    let since = batch > 0 ? ", since batch \(batch) (record \(record))" : ""
    switch phase {
    case .ok where alarms == 0: return "its \(words) is at the reference, \(shown(reference))"
    case .ok: return "its \(words) is back at the reference, \(shown(reference))"
    case .settled: return "the reference of its \(words) has been replaced by \(shown(reference))"
    case .above, .below:
      let place = phase == .above ? "above" : "below"
      switch kind {
      case .mean:
        return
          "its mean is \(short(abs(size))) reference deviations \(place) the reference \(shown(reference))\(since)"
      case .spread:
        return "its deviation is \(short(size)) times the reference \(shown(reference))\(since)"
      case .missing, .clipped:
        return
          "\(shown(level)) of its values are \(kind.name), \(shown(reference)) by the reference\(since)"
      case .keys:
        return
          "\(shown(level)) of its keys are away from their own moments, \(shown(reference)) by the reference\(since)"
      case .distribution:
        return
          "its distribution differs by \(shown(level)), \(shown(reference)) by the reference\(since)"
      }
    }
  }

  package var description: String {
    (partition.map { "partition \($0): " } ?? "") + "feature \(quoted(feature)): \(text)"
  }

  private var words: String {
    switch kind {
    case .mean: "mean"
    case .spread: "deviation"
    case .distribution: "distribution"
    case .missing, .clipped: "share of \(kind.name) values"
    case .keys: "share of keys that are away"
    }
  }

  private static func cubed(_ value: Double) -> Double { value * value * value }

  private func shown(_ value: Double) -> String {
    switch kind {
    case .mean, .spread: short(value)
    case .distribution: "\(short(value)) times chance"
    case .missing, .clipped, .keys: short(value * 100) + " %"
    }
  }
}

/// A number with three significant digits, such as `12.3`, `0.00456` or `1.2e+09`.
func short(_ value: Double) -> String {
  guard value.isFinite, value != 0 else { return "\(value == 0 ? 0 : value)" }
  let exponent = Int(log10(abs(value)).rounded(.down))
  let scale = pow(10, Double(exponent - 2))
  let digits = Int((abs(value) / scale).rounded())
  let sign = value < 0 ? "−" : ""
  guard (-4...8).contains(exponent) else {
    let (whole, rest) = digits >= 1000 ? (digits / 1000, 0) : (digits / 100, digits % 100)
    let power = digits >= 1000 ? exponent + 1 : exponent
    return "\(sign)\(whole)" + (rest > 0 ? "." + padded(rest, 2) : "") + "e\(power)"
  }
  if exponent >= 2 { return "\(sign)\(Int((abs(value)).rounded()))" }
  let decimals = 2 - exponent
  let power = Int(pow(10, Double(decimals)).rounded())
  let number = Int((abs(value) * Double(power)).rounded())
  var text = "\(number / power).\(padded(number % power, decimals))"
  while text.hasSuffix("0") { text.removeLast() }
  if text.hasSuffix(".") { text.removeLast() }
  return sign + text
}

private func padded(_ number: Int, _ digits: Int) -> String {
  let text = "\(number)"
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}

extension DriftAlarm {
  /// The verdicts of all charts of a state, feature by feature; empty if drift was not watched for. A share that was 0 so far
  /// has no chart.
  package static func all(in state: StateTable) -> [DriftAlarm] {
    let kinds = DriftKind.allCases.map { each($0, in: state) }
    return state.features.names.indices.flatMap { feature in kinds.compactMap { $0[feature] } }
  }

  /// The charts that say that a feature drifts.
  package static func drifting(in state: StateTable) -> [DriftAlarm] {
    guard state.group(DriftColumns.charts.name) != nil,
      state[DriftColumns(in: state).phase].contains(where: { $0 != DriftPhase.ok.rawValue })
    else { return [] }
    return all(in: state).filter(\.phase.isDrifting)
  }

  /// The verdicts of the charts of one kind, one value a feature; nil for a feature that has no chart.
  static func each(_ kind: DriftKind, in state: StateTable) -> [DriftAlarm?] {
    let names = state.features.names
    guard state.group(DriftColumns.charts.name) != nil else { return names.map { _ in nil } }
    let columns = DriftColumns(in: state)
    let charts = DriftCharts(columns, of: state)
    let seconds = state[columns.seconds][0]
    let threshold = state[columns.threshold][0]
    return names.indices.map { feature in
      let row = kind.row(of: feature, among: names.count)
      guard charts[row].pools > 0 else { return nil }
      return DriftAlarm(
        names[feature], kind, charts[row],
        spread: charts[DriftKind.spread.row(of: feature, among: names.count)],
        threshold: threshold, now: seconds > 0 ? seconds : nil)
    }
  }
}

extension DriftAlarm {
  /// The numbers of the alarm, as an event carries them.
  var fields: [String: EventValue] {
    var fields: [String: EventValue] = [
      "kind": .text(kind.name), "phase": .text(phase.name), "size": .number(size),
      "reference": .number(reference), "level": .number(level),
    ]
    if batch > 0 {
      fields["since_batch"] = .count(batch)
      fields["since_record"] = .count(record)
    }
    if let seconds { fields["since_seconds"] = .number(seconds) }
    return fields
  }
}
