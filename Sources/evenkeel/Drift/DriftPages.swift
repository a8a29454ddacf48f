internal import Operators
internal import Records
internal import Storage
internal import Stream

/// The reports of `evenkeel drift` as files.
enum DriftPages {
  /// The most features with plots. Those that drift come first.
  private static let mostPlots = 200

  /// Writes a report; the end of the name says which form.
  static func write(_ report: DriftReport, to path: String) throws {
    let text = path.hasSuffix(".html") ? html(report) : markdown(report)
    do throws(FileError) {
      let file = try AtomicFile(replacing: path, in: POSIXFileSystem())
      try file.write(Array(text.utf8))
      try file.commit()
    } catch {
      throw StreamError.outputRefused(error)
    }
  }

  private static func shown(_ report: DriftReport) -> ArraySlice<DriftReport.Feature> {
    (report.features.filter(\.hasAlarms) + report.features.filter { !$0.hasAlarms })
      .prefix(mostPlots)
  }

  // MARK: Markdown

  private static func markdown(_ report: DriftReport) -> String {
    var lines = [
      "# Drift", "", "\(escaped(report.summary)).", "", "**\(report.verdict).**", "",
    ]
    let alarms = report.events.filter { $0.kind.level >= .warning }
    if !alarms.isEmpty {
      lines += ["| feature | what | since batch | since record |", "| --- | --- | --- | --- |"]
      lines += alarms.map { event in
        "| \(escaped(event.feature ?? "")) | \(escaped(event.text)) | "
          + "\(event.count(of: "since_batch").map(String.init) ?? "") | "
          + "\(event.count(of: "since_record").map(String.init) ?? "") |"
      }
      lines.append("")
    }
    lines += ["| feature | mean | deviation | missing |", "| --- | --- | --- | --- |"]
    lines += shown(report).map { feature in
      let courses = [
        spark(feature.points.map(\.mean)), spark(feature.points.map(\.deviation)),
        spark(feature.points.map { $0.missingShare }, from: 0, to: 1),
      ]
      return "| \(escaped(feature.name)) | " + courses.map { "`\($0)`" }.joined(separator: " | ")
        + " |"
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// A plot of one line, by at most 48 blocks of eight heights.
  private static func spark(
    _ values: [Double?], from low: Double? = nil, to high: Double? = nil
  ) -> String {
    let blocks = Array("▁▂▃▄▅▆▇█")
    let width = 48
    let count = min(width, max(1, values.count))
    let cells = (0..<count).map { cell -> Double? in
      let range = cell * values.count / count..<(cell + 1) * values.count / count
      let present = values[range].compactMap(\.self)
      return present.isEmpty ? nil : present.reduce(0, +) / Double(present.count)
    }
    let present = cells.compactMap(\.self)
    guard let least = low ?? present.min(), let greatest = high ?? present.max() else { return " " }
    return String(
      cells.map { value in
        guard let value else { return " " }
        let share = greatest > least ? (value - least) / (greatest - least) : 0
        return blocks[min(7, max(0, Int(share * 8)))]
      })
  }

  /// Text in a table of Markdown, in which nothing is markup.
  private static func escaped(_ text: String) -> String {
    var shown = ""
    for character in printable(text) {
      if "\\`*_{}[]<>()#+!|~".contains(character) { shown += "\\" }
      shown.append(character)
    }
    return shown
  }

  // MARK: HTML

  private static func html(_ report: DriftReport) -> String {
    var text = """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>Drift of \(entities(report.name))</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #1a1a1a }
      table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
      .drift td:first-child { border-left: 4px solid #b4540a } svg { display: block } .band { fill: #0b6bcb26 } .line { fill: none; stroke: #0b6bcb; stroke-width: 1.5 }
      .mark { stroke: #b4540a; stroke-width: 1.5 } .ref { stroke: #888; stroke-dasharray: 3 3 } small { color: #555 }
      </style></head><body>
      <h1>Drift</h1>
      <p>\(entities(report.summary)).<br><b>\(report.verdict).</b> False alarms: \(entities(report.falseAlarms)).</p>

      """
    let alarms = report.events.filter { $0.kind.level >= .warning }
    if !alarms.isEmpty {
      text += "<table><tr><th>feature</th><th>what</th></tr>\n"
      for event in alarms {
        text +=
          "<tr class=\"drift\"><td>\(entities(event.feature ?? ""))</td><td>\(entities(event.text))</td></tr>\n"
      }
      text += "</table>\n"
    }
    text += "<h2>Features</h2>\n<table><tr><th>feature</th><th>mean</th><th>deviation</th>"
    text += "<th>missing</th></tr>\n"
    for feature in shown(report) {
      text += "<tr\(feature.hasAlarms ? " class=\"drift\"" : "")><td>\(entities(feature.name))</td>"
      text += "<td>" + plot(feature, .mean, \.mean, band: true) + "</td>"
      text += "<td>" + plot(feature, .spread, \.deviation) + "</td>"
      text += "<td>" + plot(feature, .missing, { $0.missingShare }) + "</td></tr>\n"
    }
    if report.features.count > mostPlots {
      text +=
        "<tr><td colspan=\"4\">… \(report.features.count - mostPlots) features more</td></tr>\n"
    }
    return text + "</table>\n</body></html>\n"
  }

  /// A small plot: the course, the reference as a dashed line, and a mark at the batch since which the feature drifts.
  private static func plot(
    _ feature: DriftReport.Feature, _ kind: DriftKind,
    _ value: (DriftTrace.Point) -> Double?, band: Bool = false
  ) -> String {
    let (width, height) = (240.0, 48.0)
    let chart = feature.charts.first { $0.kind == kind }
    let values = feature.points.map(value)
    var (low, high) = (Double.infinity, -Double.infinity)
    for (point, value) in zip(feature.points, values) {
      guard let value else { continue }
      low = min(low, band ? point.least : value)
      high = max(high, band ? point.greatest : value)
    }
    guard low <= high else { return "<small>no values</small>" }
    if let reference = chart?.reference, reference.isFinite, kind != .missing {
      (low, high) = (min(low, reference), max(high, reference))
    }
    if kind == .missing { (low, high) = (0, max(high, 0.01)) }
    let span = high > low ? high - low : 1
    func y(_ value: Double) -> String { short(height - 2 - (value - low) / span * (height - 4)) }
    let batches = feature.points.reduce(0) { $0 + $1.batches }
    var before = 0
    var places: [(x: String, value: Double, point: DriftTrace.Point)] = []
    for (point, value) in zip(feature.points, values) {
      let middle = Double(before) + Double(point.batches) / 2
      before += point.batches
      guard let value else { continue }
      places.append((short(middle / Double(max(1, batches)) * width), value, point))
    }
    var svg =
      "<svg width=\"\(short(width))\" height=\"\(short(height))\" role=\"img\" "
      + "aria-label=\"\(kind.name) of \(entities(feature.name))\">"
    if band {
      let upper = places.map { "\($0.x),\(y($0.point.greatest))" }
      let lower = places.reversed().map { "\($0.x),\(y($0.point.least))" }
      svg += "<polygon class=\"band\" points=\"\((upper + lower).joined(separator: " "))\"/>"
    }
    if let reference = chart?.reference, reference.isFinite, chart?.isJudged == true {
      let level = y(min(max(reference, low), high))
      svg += "<line class=\"ref\" x1=\"0\" x2=\"\(short(width))\" y1=\"\(level)\" y2=\"\(level)\"/>"
    }
    let line = places.map { "\($0.x),\(y($0.value))" }.joined(separator: " ")
    svg += "<polyline class=\"line\" points=\"\(line)\"/>"
    if let chart, chart.phase.isDrifting, chart.batch > 0 {
      let x = short(Double(chart.batch - 1) / Double(max(1, batches)) * width)
      svg += "<line class=\"mark\" x1=\"\(x)\" x2=\"\(x)\" y1=\"0\" y2=\"\(short(height))\"/>"
    }
    return svg + "</svg><small>\(short(low)) to \(short(high))</small>"
  }

  private static func entities(_ text: String) -> String {
    printable(text).replacing("&", with: "&amp;").replacing("<", with: "&lt;")
      .replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
  }
}
