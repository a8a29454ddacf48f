internal import ArgumentParser
internal import Configuration
internal import Operators
internal import Records
internal import State
internal import Storage
internal import Stream

/// `evenkeel inspect`: shows a checkpoint.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows the features of a checkpoint: n, μ, σ, γ, β, missing, clipped.")

  @Argument(help: "A checkpoint, or kafka://HOST:PORT/STATE-TOPIC/PARTITION.")
  var checkpoint: String

  @Flag(help: "Write the whole checkpoint as JSON, as export --to json does.")
  var json = false

  @Option(help: "Show the moments of one key; the values of several columns with commas.")
  var key: String?

  func run() throws {
    do {
      let state = try StateLocation.read(checkpoint, .toShow)
      if let key {
        try writeToStandardOutput(try table(ofKey: key, state))
      } else if json {
        let text = try ExportFormat.json.encode(state)
        try writeToStandardOutput(
          String(decoding: printable(json: Array(text)), as: UTF8.self))
      } else {
        try writeToStandardOutput(summary(of: state) + table(of: state))
      }
    } catch {
      throw CommandFailure(error)
    }
  }

  private func summary(of state: Checkpoint) -> String {
    let batches = state.state[count: "num_batches_tracked"][0]
    var lines = [
      "\(state.features.count) feature\(state.features.count == 1 ? "" : "s"), "
        + "\(grouped(batches)) batch\(batches == 1 ? "" : "es")"
    ]
    for split in state.input?.splits ?? [] {
      lines[0] += ", up to record \(grouped(split.records)) of \(split.split)"
    }
    let keys = state.state.keyCount
    if keys > 0 { lines[0] += ", \(grouped(keys)) key\(keys == 1 ? "" : "s")" }
    if !state.settings.isEmpty {
      let settings = state.settings.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      lines.append(printable(settings.joined(separator: ", ")))
    }
    if let choice = state.input?.opening?.choiceText { lines.append(printable(choice)) }
    let known = Set(StateReading.ofOperators.groups.map(\.name))
    let unknown = state.state.groups.map(\.name).filter { !known.contains($0) }
    if !unknown.isEmpty {
      lines.append("state that this version does not know: \(listed(unknown))")
    }
    let warnings = FeatureWarning.all(
      of: state.state, epsilon: state.settings["epsilon"].flatMap { Double($0) },
      hasPrior: state.settings["prior"] != nil, .atEnd)
    lines += warnings.map { "warning: " + printable("\($0)") }
    if let learned = LearnAffine.summary(of: state.state) { lines.append(learned) }
    lines += DriftAlarm.drifting(in: state.state).map { "drift: " + printable("\($0)") }
    return lines.joined(separator: "\n") + "\n\n"
  }

  /// One row for each feature: the metrics of all operators that have a heading, then the columns of state that no
  /// operator of this version knows.
  private func table(of checkpoint: Checkpoint) -> String {
    let metrics = Catalogue.builtIn.operators.flatMap { $0.declaration.metrics }
      .filter { $0.heading != nil }
    let known = Set(StateReading.ofOperators.groups.map(\.name))
    let unknown = checkpoint.state.groups.filter {
      !known.contains($0.name) && $0.scope == .feature
    }
    .flatMap(\.columns).map(\.fileName)
    var rows = [["feature"] + metrics.compactMap(\.heading) + unknown.map { printable($0) }]
    let features = FeatureStatus.all(metrics, of: OperatorView(state: checkpoint.state))
    for (index, feature) in features.enumerated() {
      rows.append(
        [printable(feature.name)]
          + feature.readings.map { $0.metric.isCount ? count($0.value) : short($0.value ?? .nan) }
          + unknown.map { short(checkpoint.state[$0]?.doubles[index] ?? .nan) })
    }
    return aligned(rows)
  }

  /// One row for each feature that the key has values of.
  private func table(ofKey text: String, _ checkpoint: Checkpoint) throws -> String {
    let values = listElements(text).map { Array($0.utf8) }
    guard checkpoint.state.groups.contains(where: { $0.name == "key_moments" }),
      let name = RecordKey.bytes(of: values),
      let key = KeyReport(.named(name), of: checkpoint.state).keys.first
    else {
      throw CommandFailure(
        "\(checkpoint.state.keyCount) keys: expected one \(quoted(text)), found none", exitCode: 65)
    }
    return printable("key \(text)") + ", last in record \(grouped(key.lastRecord))\n\n"
      + aligned(
        [["feature", "n", "μ", "σ"]]
          + key.features.map {
            [printable($0.name), short($0.weight), short($0.mean), short($0.deviation)]
          })
  }

  private func count(_ value: Double?) -> String { grouped(Int(value ?? 0)) }
}

/// Rows as a table: the first column is left-aligned, the others right-aligned.
func aligned(_ rows: [[String]]) -> String {
  let columns = rows.first?.indices ?? 0..<0
  let widths = columns.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    let cells = columns.map { column in
      let padding = String(repeating: " ", count: widths[column] - row[column].count)
      return column == 0 ? row[column] + padding : padding + row[column]
    }
    return cells.joined(separator: "  ") + "\n"
  }.joined()
}
