import Foundation
import Operators
import TestSupport
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

/// The metrics that dashboard, alerts and documents name, against those that the daemon has.
@Suite struct MetricNamesTests {
  private static let documents = [
    "config/grafana-dashboard.json", "config/prometheus-alerts.yaml", "docs/HTTP.md",
    "docs/OPERATIONS.md", "README.md",
  ]

  /// The metrics of a daemon that has a value for each.
  private static var names: Set<String> {
    var stream = StreamStatus.made("s")
    stream.checkpointAgeSeconds = 1
    stream.checkpointSeconds = 0.1
    stream.checkpointBytes = 1000
    stream.lastErrorReason = "io"
    stream.keys = KeyCounts(known: 1)
    stream.connectors.producers = 1
    stream.connectors.subscribers = 1
    stream.connectors.subscriberLag = 1
    stream.connectors.stalledSeconds = 1
    stream.connectors.backlogBytes = 1
    stream.connectors.backlogFiles = 1
    stream.connectors.backlogMessages = 1
    stream.partitions = [0]
    stream.rebalances = 1
    stream.viewAgeSeconds = 1
    var daemon = DaemonStatus()
    daemon.appliedSeconds = 1
    let text = metricsText(
      streams: [stream], features: ["s": [.made("x")]], daemon: daemon,
      control: ControlStatistics(), version: "1", process: ProcessStatistics.current())
    return Set(
      text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
        String(line.prefix { $0 != " " && $0 != "{" })
      })
  }

  private static func mentioned(in file: String) throws -> Set<String> {
    let text = try String(contentsOfFile: repositoryFile(file), encoding: .utf8)
    let names = text.matches(
      of: /\b(?:evenkeel_(?:build|heap|stream|feature|drift|config|daemon|control)|process)_[a-z_]+/
    )
    return Set(names.map { String($0.output) })
  }

  @Test(arguments: documents)
  func `every metric that a document names exists`(file: String) throws {
    let names = Self.names
    // A histogram is named by its family too.
    let families = Set(names.filter { $0.hasSuffix("_count") }.map { String($0.dropLast(6)) })
    let unknown = try Self.mentioned(in: file).subtracting(names).subtracting(families)
    #expect(unknown.isEmpty)
  }

  @Test func `every metric is documented`() throws {
    let suffixes = ["_bucket", "_sum", "_count"]
    let documented = try Self.mentioned(in: "docs/HTTP.md")
    let missing = Self.names.filter { name in
      !documented.contains(name)
        && !suffixes.contains {
          name.hasSuffix($0) && documented.contains(String(name.dropLast($0.count)))
        }
    }
    #expect(missing.isEmpty)
  }

  @Test func `every alert says in the documents what to do`() throws {
    let alerts = try String(
      contentsOfFile: repositoryFile("config/prometheus-alerts.yaml"), encoding: .utf8)
    let operations = try String(
      contentsOfFile: repositoryFile("docs/OPERATIONS.md"), encoding: .utf8)
    let names = alerts.matches(of: /alert: (\w+)/).map { String($0.output.1) }
    #expect(names.count > 10)
    for name in names { #expect(operations.contains("\n#### \(name)\n"), "\(name)") }
  }
}
