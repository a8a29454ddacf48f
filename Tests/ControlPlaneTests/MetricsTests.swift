import Foundation
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

@Suite struct MetricsTests {
  private func text(
    _ streams: [StreamStatus], features: [String: [FeatureStatus]] = [:]
  ) -> String {
    metricsText(
      streams: streams, features: features, daemon: DaemonStatus(), control: ControlStatistics(),
      version: "1.2.3", process: ProcessStatistics.current())
  }

  @Test func `every family and sample is well formed`() throws {
    let families = try MetricsParser.parse(
      text([.made("a"), .made("b")], features: ["a": [.made("x"), .made("y")]]))
    for name in [
      "evenkeel_build_info", "evenkeel_stream_records_total", "evenkeel_stream_batches_total",
      "evenkeel_stream_bad_records_total", "evenkeel_stream_input_bytes_total",
      "evenkeel_stream_output_bytes_total", "evenkeel_stream_restarts_total",
      "evenkeel_stream_checkpoints_total", "evenkeel_stream_up", "evenkeel_stream_state",
      "evenkeel_stream_records_in_flight", "evenkeel_stream_idle_seconds",
      "evenkeel_stream_checkpoint_age_seconds", "evenkeel_stream_batch_latency_seconds",
      "evenkeel_stream_batch_size_records", "evenkeel_feature_mean", "evenkeel_feature_stddev",
      "evenkeel_feature_missing_ratio", "evenkeel_feature_drift",
      "evenkeel_feature_clipped_total", "process_resident_memory_bytes",
      "evenkeel_heap_bytes",
      "process_open_fds", "process_start_time_seconds", "process_cpu_seconds_total",
    ] { #expect(families[name] != nil, "\(name)") }
    #expect(families["evenkeel_feature_clipped_total"]?.type == "counter")
    let drift = try #require(families["evenkeel_feature_drift"])
    #expect(drift.samples.map(\.value) == [1.5, 1.5])
    #expect(drift.samples[1].labels == ["stream": "a", "feature": "y"])
    #expect(families["evenkeel_stream_checkpoint_age_seconds"]?.samples.isEmpty == true)
    let queues = try #require(families["evenkeel_stream_queue_bytes"])
    #expect(queues.samples.map(\.value) == [4096, 4096])
    #expect(queues.samples[1].labels == ["stream": "b", "stage": "emit"])
    #expect(families["evenkeel_stream_queue_elements"]?.samples.map(\.value) == [2, 2])
    let states = try #require(families["evenkeel_stream_state"]).samples
    #expect(states.count == 2 * StreamStatus.State.allCases.count)
    #expect(states.filter { $0.value == 1 }.map { $0.labels["state"] } == ["running", "running"])
  }

  @Test func `histograms are cumulative and end with their count`() throws {
    let families = try MetricsParser.parse(text([.made("a")]))
    let samples = try #require(families["evenkeel_stream_batch_latency_seconds"]).samples
    let buckets = samples.filter { $0.name.hasSuffix("_bucket") }
    #expect(buckets.map { $0.labels["le"] } == ["0.001", "0.01", "0.1", "1", "+Inf"])
    #expect(buckets.map(\.value) == [1, 3, 3, 3, 4])
    #expect(samples.last?.name == "evenkeel_stream_batch_latency_seconds_count")
    #expect(samples.last?.value == 4)
  }

  @Test func `label values are escaped`() throws {
    let name = "a\"b\\c\nd{}=,ü"
    let families = try MetricsParser.parse(
      text([.made("s")], features: ["s": [.made(name)]]))
    #expect(families["evenkeel_feature_mean"]?.samples.first?.labels["feature"] == name)
  }

  @Test func `numbers are spelt as the format has them`() {
    let expected: [(Double, String)] = [
      (0, "0"), (3, "3"), (-2.5, "-2.5"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
      (1e300, "1e+300"), (0.1, "0.1"), (9_007_199_254_740_992, "9007199254740992"),
    ]
    for (value, text) in expected { #expect(MetricsWriter.number(value) == text) }
  }

  @Test func `a daemon without streams has metrics too`() throws {
    let families = try MetricsParser.parse(text([]))
    #expect(families["evenkeel_build_info"]?.samples.first?.labels == ["version": "1.2.3"])
    #expect(families["evenkeel_stream_up"]?.samples.isEmpty == true)
  }

  @Test(arguments: [
    (FeatureMetrics.automatic, 200, true), (.automatic, 201, false), (.all, 201, true),
    (.none, 1, false),
  ])
  func `features show up to their limit`(setting: FeatureMetrics, count: Int, shows: Bool)
    async throws
  {
    let fake = FakeSupervision(
      [.made("s")], features: ["s": (0..<count).map { .made("f\($0)") }])
    try await TestServer.run(fake, featureMetrics: setting) { server in
      let answer = try await server.request("GET", "/metrics")
      #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let families = try MetricsParser.parse(answer.body)
      #expect(families["evenkeel_feature_mean"]?.samples.count == (shows ? count : nil))
    }
  }

  @Test func `the process is seen in its files`() throws {
    let process = ProcessStatistics.current()
    #expect(try #require(process.residentBytes) > 1 << 20)
    #expect(try #require(process.openDescriptors) >= 3)
    let age = Date.now.timeIntervalSince1970 - (try #require(process.startSeconds))
    #expect(age > -2 && age < 24 * 3600)
    #expect(try #require(process.cpuSeconds) >= 0)
  }

  private static let promtool = "/usr/bin/promtool"

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool)))
  func `promtool finds nothing to say`() throws {
    let process = Process()
    process.executableURL = URL(filePath: Self.promtool)
    process.arguments = ["check", "metrics"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    input.fileHandleForWriting.write(
      Data(text([.made("a"), .made("b")], features: ["a": [.made("x\"\\")]]).utf8))
    try input.fileHandleForWriting.close()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said == "")
  }

  @Test(arguments: [
    "a 1\n", "# TYPE a counter\n# HELP a x\na 1\n", "# HELP a x\n# TYPE a gauge\na 1",
    "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a x\n# TYPE a gauge\na{x=\"} 1\n",
    "# HELP a x\n# TYPE a gauge\na 1\na 2\n", "# HELP a x\n# TYPE a gauge\na one\n",
    "# HELP a x\n# TYPE a gauge\n# HELP a x\n# TYPE a gauge\n",
    "# HELP a x\n# TYPE a counter\na 1\n",
  ])
  func `the parser of these tests is strict`(text: String) {
    #expect(throws: MetricsParser.Malformed.self) { try MetricsParser.parse(text) }
  }
}
