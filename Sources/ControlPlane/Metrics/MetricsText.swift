internal import Stream
internal import Supervision

/// All metrics in Prometheus' text format 0.0.4; docs/HTTP.md lists them.
///
/// - Parameter features: by stream; a stream that is not in it shows none.
func metricsText(
  streams: [StreamStatus], features: [String: [FeatureStatus]], version: String,
  process: ProcessStatistics
) -> String {
  var text = MetricsWriter()
  text.family("evenkeel_build_info", .gauge, "The version that runs; always 1.")
  text.sample("evenkeel_build_info", ["version": version], 1)
  for metric in streamMetrics {
    text.family(metric.name, metric.type, metric.help)
    for stream in streams {
      guard let value = metric.value(stream) else { continue }
      text.sample(metric.name, ["stream": stream.name], value)
    }
  }
  text.family(
    "evenkeel_stream_state", .gauge, "1 for the state that the stream is in, 0 for the others.")
  for stream in streams {
    for state in StreamStatus.State.allCases {
      text.sample(
        "evenkeel_stream_state", ["stream": stream.name, "state": state.rawValue],
        stream.state == state ? 1 : 0)
    }
  }
  text.histogram(
    "evenkeel_stream_batch_latency_seconds", "Time from the cut of a batch to its emission.",
    streams.map { ($0.name, $0.batchLatency) })
  text.histogram(
    "evenkeel_stream_batch_size_records", "Records in a batch.",
    streams.map { ($0.name, $0.batchSize) })
  for metric in featureMetrics where !features.isEmpty {
    text.family(metric.name, .gauge, metric.help)
    for stream in streams {
      for feature in features[stream.name] ?? [] {
        guard let value = metric.value(feature) else { continue }
        text.sample(metric.name, ["stream": stream.name, "feature": feature.name], value)
      }
    }
  }
  text.process(process)
  return text.text
}

private struct StreamMetric {
  var name: String
  var type: MetricsWriter.Kind
  var help: String
  var value: @Sendable (StreamStatus) -> Double?
}

private let streamMetrics: [StreamMetric] = [
  .init(
    name: "evenkeel_stream_up", type: .gauge,
    help: "Whether the stream runs or has come to its end in order."
  ) { [.running, .draining, .finished].contains($0.state) ? 1 : 0 },
  .init(
    name: "evenkeel_stream_frozen", type: .gauge, help: "Whether the running moments stand still."
  ) { $0.isFrozen ? 1 : 0 },
  .init(
    name: "evenkeel_stream_records_total", type: .counter, help: "Records read."
  ) { Double($0.records) },
  .init(
    name: "evenkeel_stream_batches_total", type: .counter, help: "Batches normalised."
  ) { Double($0.batches) },
  .init(
    name: "evenkeel_stream_bad_records_total", type: .counter,
    help: "Records that could not be read."
  ) { Double($0.badRecords) },
  .init(
    name: "evenkeel_stream_input_bytes_total", type: .counter,
    help: "Bytes read from the source, as they came."
  ) { Double($0.bytesIn) },
  .init(
    name: "evenkeel_stream_output_bytes_total", type: .counter,
    help: "Bytes written to the sink, as they went."
  ) { Double($0.bytesOut) },
  .init(
    name: "evenkeel_stream_restarts_total", type: .counter, help: "Restarts after a failure."
  ) { Double($0.restarts) },
  .init(
    name: "evenkeel_stream_checkpoints_total", type: .counter, help: "Checkpoints written."
  ) { Double($0.checkpoints) },
  .init(
    name: "evenkeel_stream_dropped_writes_total", type: .counter,
    help:
      "Writes that a slow reader of the sink lost, or that had no reader, where dropping is asked for."
  ) { Double($0.droppedWrites) },
  .init(
    name: "evenkeel_stream_records_in_flight", type: .gauge,
    help: "Records read and not yet emitted."
  ) { Double($0.recordsInFlight) },
  .init(
    name: "evenkeel_stream_idle_seconds", type: .gauge,
    help: "Time since the last record was read; absent before the first."
  ) { $0.idleSeconds },
  .init(
    name: "evenkeel_stream_checkpoint_age_seconds", type: .gauge,
    help: "Time since the last checkpoint; absent before the first."
  ) { $0.checkpointAgeSeconds },
  .init(
    name: "evenkeel_stream_warnings", type: .gauge,
    help: "What an operator should know though the stream runs, by number."
  ) { Double($0.warnings.count) },
]

private struct FeatureMetric {
  var name: String
  var help: String
  var value: @Sendable (FeatureStatus) -> Double?
}

private let featureMetrics: [FeatureMetric] = [
  .init(
    name: "evenkeel_feature_mean", help: "Running mean, in the feature's unit."
  ) { $0.mean },
  .init(
    name: "evenkeel_feature_deviation",
    help: "Running standard deviation, in the feature's unit."
  ) { $0.deviation },
  .init(
    name: "evenkeel_feature_missing_ratio", help: "Share of missing values among all seen."
  ) { $0.missingRatio },
  .init(
    name: "evenkeel_feature_drift",
    help: "Distance of the last batch's mean from the running mean, in running deviations."
  ) { $0.drift },
]
