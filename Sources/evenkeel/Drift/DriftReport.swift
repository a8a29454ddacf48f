internal import Operators
internal import Records
internal import Stream

/// The result of `evenkeel drift`, as text, as JSON, and as the contents of a page.
struct DriftReport {
  let name: String
  let reference: String
  let falseAlarms: String
  let records: Int
  let batches: Int
  let features: [Feature]
  let events: [OperatorEvent]

  /// A feature, its course, and its charts.
  struct Feature {
    let name: String
    let points: [DriftTrace.Point]
    let charts: [DriftAlarm]

    var hasAlarms: Bool { charts.contains { $0.alarms > 0 } }
    /// Whether its mean is known and enough values came to compare with it, or another chart has alarmed.
    var isJudged: Bool {
      let values = points.reduce(0) { $0 + $1.values }
      return hasAlarms
        || values >= DriftAlarm.leastValues && charts.contains { $0.kind == .mean && $0.isJudged }
    }
  }

  init(
    _ trace: DriftTrace, _ charts: [DriftAlarm], input: [String], reference: String,
    falseAlarms: String
  ) {
    let course = trace.course
    name = input.count == 1 ? input[0] == "-" ? "stdin" : input[0] : "\(input.count) inputs"
    self.reference = reference
    self.falseAlarms = falseAlarms
    (records, batches) = (course.records, course.batches)
    let byName = Dictionary(grouping: charts) { Name($0.feature) }
    features = zip(course.names, course.points).map { name, points in
      Feature(name: name, points: points, charts: byName[Name(name)] ?? [])
    }
    events = trace.events.filter { $0.fields["kind"] != nil }
  }

  var hasAlarms: Bool { features.contains(where: \.hasAlarms) }

  var isJudged: Bool { features.contains(where: \.isJudged) }

  /// The features that could not be judged: they have too few values, or the checkpoint does not know them.
  var unjudged: [Feature] { features.filter { !$0.isJudged } }

  private var drifting: [Feature] { features.filter(\.hasAlarms) }

  /// The first line of every form.
  var summary: String {
    "\(name): \(grouped(records)) record\(records == 1 ? "" : "s") in \(grouped(batches)) "
      + "batch\(batches == 1 ? "" : "es"), compared with \(reference)"
  }

  /// The result in one line.
  var verdict: String {
    guard isJudged else { return "too short to tell" }
    let (count, names) = (drifting.count, unjudged.map(\.name))
    let open = names.isEmpty ? "" : "; not judged, of too few values: \(printable(listed(names)))"
    guard count > 0 else { return "no feature drifts" + open }
    return "\(count) of \(features.count) feature\(features.count == 1 ? "" : "s") "
      + "drift\(count == 1 ? "s" : "")" + open
  }

  /// For a terminal.
  var text: String {
    var lines = [summary, verdict]
    for event in events where event.kind.level >= .warning {
      lines.append("  " + printable(event.description))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// For programs.
  struct JSON: Encodable {
    struct Chart: Encodable {
      var feature: String
      var kind: String
      var phase: String
      var alarms: Int
      var pools: Int
      var score: Double
      var size: Double
      var reference: Double
      var level: Double
      var sinceBatch: Int?
      var sinceRecord: Int?
    }

    struct Event: Encodable {
      var event: String
      var feature: String
      var kind: String
      var batch: Int?
      var record: Int?
      var sinceBatch: Int?
      var sinceRecord: Int?
      var text: String
    }

    var records: Int
    var batches: Int
    var reference: String
    var falseAlarms: String
    var judged: Bool
    var drifting: [String]
    var notJudged: [String]
    var alarms: Int
    var charts: [Chart]
    var events: [Event]
  }

  var json: JSON {
    let charts = features.flatMap(\.charts)
    return JSON(
      records: records, batches: batches, reference: reference, falseAlarms: falseAlarms,
      judged: isJudged, drifting: drifting.map(\.name),
      notJudged: unjudged.map(\.name),
      alarms: charts.reduce(0) { $0 + $1.alarms },
      charts: charts.map { chart in
        JSON.Chart(
          feature: chart.feature, kind: chart.kind.name, phase: chart.phase.name,
          alarms: chart.alarms, pools: chart.pools, score: finite(chart.score),
          size: finite(chart.size), reference: finite(chart.reference),
          level: finite(chart.level), sinceBatch: chart.batch > 0 ? chart.batch : nil,
          sinceRecord: chart.batch > 0 ? chart.record : nil)
      },
      events: events.map { event in
        JSON.Event(
          event: event.kind.name, feature: event.feature ?? "", kind: event.text(of: "kind"),
          batch: event.count(of: "batch"), record: event.count(of: "record"),
          sinceBatch: event.count(of: "since_batch"), sinceRecord: event.count(of: "since_record"),
          text: event.text)
      })
  }

  /// JSON has no other numbers.
  private func finite(_ value: Double) -> Double { value.isFinite ? value : 0 }
}

extension OperatorEvent {
  /// A word of the event; empty if it has none.
  func text(of field: String) -> String {
    if case .text(let text)? = fields[field] { text } else { "" }
  }

  /// A count of the event.
  func count(of field: String) -> Int? {
    if case .count(let count)? = fields[field] { count } else { nil }
  }
}
