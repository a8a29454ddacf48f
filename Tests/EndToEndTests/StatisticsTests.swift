import Foundation
import TestSupport
import Testing

/// The moments of other libraries, imported by the recipes of docs/CHECKPOINTS.md.
///
/// Tests/Oracles/make_statistics_golden.py runs the recipes with the libraries.
@Suite struct StatisticsTests {
  /// A library, the options that its formula needs, and how many digits its output has.
  struct Library: Sendable, CustomTestStringConvertible {
    var name: String
    var options: String
    var tolerance: Double

    var testDescription: String { name }
  }

  struct Rows: Decodable {
    var given: [[Double]]
    var expected: [[Double]]
  }

  private static func golden(_ name: String) throws -> String {
    let url = try #require(
      Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Golden"))
    return url.path
  }

  @Test(arguments: [
    Library(name: "scikit-learn", options: "--preset sklearn", tolerance: 1e-12),
    Library(name: "river", options: "--preset river", tolerance: 1e-12),
    // Both compute with 4-byte floats.
    Library(name: "keras", options: "--preset keras", tolerance: 1e-6),
    Library(name: "stable-baselines3", options: "--epsilon 1e-8 --clip 10", tolerance: 1e-6),
  ])
  func `imported moments scale as their library does`(library: Library) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: try Self.golden("transformed")))
    let all = try JSONDecoder().decode([String: Rows].self, from: data)
    let rows = try #require(all[library.name])
    let place = try Workplace()
    let names = (0..<rows.given[0].count).map { "f\($0)" }.joined(separator: ",")
    let lines = rows.given.map { $0.map { "\($0)" }.joined(separator: ",") }
    try place.write("given.csv", (lines.joined(separator: "\n") + "\n").utf8)
    let imported = try place.evenkeel(
      "import", try Self.golden(library.name), "--from", "json", "--features", names, "-o", "state")
    #expect(imported.exitCode == 0, "\(imported.errors)")
    let scaled = try place.shell(
      "$EVENKEEL normalize given.csv --no-header -o out.csv --checkpoint-in state --frozen "
        + "--precision float64 \(library.options)")
    #expect(scaled.exitCode == 0, "\(scaled.errors)")
    let found = String(decoding: try place.read("out.csv"), as: UTF8.self)
      .split(separator: "\n").map { $0.split(separator: ",").map { Double($0) ?? .nan } }
    #expect(found.count == rows.expected.count)
    for (row, expected) in zip(found, rows.expected) {
      for (value, other) in zip(row, expected) {
        #expect(abs(value - other) <= library.tolerance * max(1, abs(other)), "\(row)")
      }
    }
  }
}
