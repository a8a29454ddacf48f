internal import ArgumentParser
internal import Foundation
internal import Records
internal import State
internal import Storage
internal import Stream

/// `evenkeel inspect`: what a checkpoint holds.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows the features of a checkpoint: n, μ, σ, γ, β, missing.")

  @Argument(help: "A checkpoint.")
  var checkpoint: String

  @Flag(help: "Write the whole checkpoint as JSON, as export --to json does.")
  var json = false

  func run() throws {
    do {
      let state = try CheckpointFile.read(checkpoint, .toShow)
      if json {
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
    var lines = ["\(state.features.count) features, \(grouped(batches)) batches"]
    for split in state.input?.splits ?? [] {
      lines[0] += ", up to record \(grouped(split.records)) of \(split.split)"
    }
    if !state.settings.isEmpty {
      let settings = state.settings.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      lines.append(printable(settings.joined(separator: ", ")))
    }
    return lines.joined(separator: "\n") + "\n\n"
  }

  private func table(of state: Checkpoint) -> String {
    var rows = [["feature", "n", "μ", "σ", "γ", "β", "missing"]]
    let (table, weights) = (state.state, state.state[real: "evenkeel.moments.weight"])
    for (index, name) in state.features.enumerated() {
      rows.append([
        printable(name), grouped(Int(weights[index])), short(table[real: "running_mean"][index]),
        short(table[real: "running_var"][index].squareRoot()), short(table[real: "weight"][index]),
        short(table[real: "bias"][index]), grouped(table[count: "evenkeel.values.missing"][index]),
      ])
    }
    return aligned(rows)
  }
}

/// A number with six significant digits, as %g writes it.
func short(_ value: Double) -> String {
  String(format: "%.6g", value)
}

/// Rows as a table: the first column to the left, the others to the right.
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
