internal import Dataflow
internal import Operators
internal import Stream
internal import Supervision
internal import Synchronization

/// All metrics in Prometheus' text format 0.0.4. docs/HTTP.md lists them.
///
/// - Parameter features: the features by stream. A stream without an entry has no feature metrics.
func metricsText(
  streams: [StreamStatus], features: [String: [FeatureStatus]], daemon: DaemonStatus,
  control: ControlStatistics, version: String, process: ProcessStatistics
) -> String {
  var text = MetricsWriter()
  text.family("evenkeel_build_info", .gauge, "Always 1. The label is the version of the daemon.")
  text.sample("evenkeel_build_info", ["version": version], 1)
  text.daemon(daemon, control)
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
  text.family(
    "evenkeel_stream_last_failure_info", .gauge,
    "Always 1. The label is the reason of the stream's last failure. Absent before the first failure."
  )
  for stream in streams {
    guard let reason = stream.lastErrorReason else { continue }
    text.sample(
      "evenkeel_stream_last_failure_info", ["stream": stream.name, "reason": reason], 1)
  }
  if streams.contains(where: { !$0.events.isEmpty }) {
    let name = "evenkeel_stream_events_total"
    text.family(
      name, .counter,
      "Events in the data, such as the beginning of a warning about a feature. Freeze, thaw and other changes by users are no events."
    )
    for stream in streams {
      for (event, count) in stream.events.sorted(by: { $0.key < $1.key }) {
        text.sample(name, ["stream": stream.name, "event": event], Double(count))
      }
    }
  }
  text.changes(streams)
  for metric in queueMetrics {
    text.family(metric.name, .gauge, metric.help)
    for stream in streams {
      for (stage, depth) in stream.queues.sorted(by: { $0.key < $1.key }) {
        text.sample(
          metric.name, ["stream": stream.name, "stage": stage], Double(metric.value(depth)))
      }
    }
  }
  text.histogram(
    "evenkeel_stream_batch_latency_seconds", "Time from the cut of a batch to its emission.",
    streams.map { ($0.name, $0.batchLatency) })
  text.histogram(
    "evenkeel_stream_batch_size_records", "Records in a batch.",
    streams.map { ($0.name, $0.batchSize) })
  text.features(streams.map { ($0.name, features[$0.name] ?? []) })
  text.process(process)
  return text.text
}

extension MetricsWriter {
  /// The updates that users requested.
  fileprivate mutating func changes(_ streams: [StreamStatus]) {
    guard streams.contains(where: { !$0.changes.isEmpty }) else { return }
    let name = "evenkeel_stream_changes_total"
    family(name, .counter, "Changes that users requested, such as freeze or gradients, by outcome.")
    for stream in streams {
      let samples = stream.changes.map { ($0.key.change, $0.key.result.rawValue, $0.value) }
      for (change, result, count) in samples.sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) {
        sample(
          name, ["stream": stream.name, "change": change, "result": result], Double(count))
      }
    }
  }

  /// The metrics of features that have a series, as the operators of the streams declare them.
  fileprivate mutating func features(_ streams: [(name: String, features: [FeatureStatus])]) {
    var told: Set<String> = []
    for metric in streams.flatMap({ $0.features.first?.readings ?? [] }).map(\.metric) {
      guard let series = metric.series, told.insert(series).inserted else { continue }
      // As Prometheus names its counters.
      family(series, series.hasSuffix("_total") ? .counter : .gauge, metric.help)
      for (stream, features) in streams {
        for feature in features {
          for reading in feature.readings where reading.metric.series == series {
            guard let value = reading.value else { continue }
            if let kind = reading.metric.kind {
              sample(series, ["stream": stream, "feature": feature.name, "kind": kind], value)
            } else {
              sample(series, ["stream": stream, "feature": feature.name], value)
            }
          }
        }
      }
    }
  }

  fileprivate mutating func daemon(_ daemon: DaemonStatus, _ control: ControlStatistics) {
    let reloads = "evenkeel_config_reloads_total"
    family(reloads, .counter, "Attempts to apply a changed configuration.")
    sample(reloads, ["outcome": "applied"], Double(daemon.reloads - daemon.reloadsRefused))
    sample(reloads, ["outcome": "refused"], Double(daemon.reloadsRefused))
    single(
      "evenkeel_config_last_reload_successful", .gauge,
      "Whether the last attempt to apply a configuration succeeded. The start counts as one.",
      daemon.lastReload.map { $0.isApplied ? 1 : 0 } ?? 1)
    single(
      "evenkeel_config_last_reload_success_timestamp_seconds", .gauge,
      "When a configuration was last applied. The start counts.", daemon.appliedSeconds)
    single(
      "evenkeel_daemon_warnings", .gauge,
      "Number of problems of the daemon that do not stop it.", Double(daemon.warnings.count))
    single(
      "evenkeel_control_connections_total", .counter, "Connections to the control plane.",
      Double(control.accepted.load(ordering: .relaxed)))
    single(
      "evenkeel_control_refused_connections_total", .counter,
      "Connections to the control plane that were refused, or closed to make room for another.",
      Double(control.refused.load(ordering: .relaxed)))
  }

  /// A family with one sample without labels; nothing if there is no value.
  mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
    guard let value else { return }
    family(name, kind, help)
    sample(name, [:], value)
  }
}

private let queueMetrics: [(name: String, help: String, value: @Sendable (QueueDepth) -> Int)] = [
  ("evenkeel_stream_queue_bytes", "Bytes that wait before a stage.", { $0.bytes }),
  ("evenkeel_stream_queue_elements", "Blocks that wait before a stage.", { $0.elements }),
]

private struct StreamMetric {
  var name: String
  var type: MetricsWriter.Kind
  var help: String
  var value: @Sendable (StreamStatus) -> Double?
}

private let streamMetrics: [StreamMetric] = [
  .init(
    name: "evenkeel_stream_up", type: .gauge,
    help: "1 if the stream runs, drains or is finished, otherwise 0."
  ) { [.running, .draining, .finished].contains($0.state) ? 1 : 0 },
  .init(
    name: "evenkeel_stream_frozen", type: .gauge,
    help: "1 if updates of the running moments are stopped, otherwise 0."
  ) { $0.isFrozen ? 1 : 0 },
  .init(
    name: "evenkeel_stream_state_version", type: .gauge,
    help: "Increases with each batch that moves the moments, and with each update."
  ) { Double($0.stateVersion) },
  .init(
    name: "evenkeel_stream_parameters_version", type: .gauge,
    help: "The state version at which γ or β last changed."
  ) { Double($0.parametersVersion) },
  .init(
    name: "evenkeel_stream_keys", type: .gauge,
    help: "Keys or classes with moments of their own."
  ) { $0.keys.map { Double($0.known) } },
  .init(
    name: "evenkeel_stream_keys_evicted_total", type: .counter,
    help: "Keys that went because there were more than `key.max`."
  ) { $0.keys.map { Double($0.evicted) } },
  .init(
    name: "evenkeel_stream_keys_expired_total", type: .counter,
    help: "Keys that went because they had no record for `key.idle`."
  ) { $0.keys.map { Double($0.expired) } },
  .init(
    name: "evenkeel_stream_unknown_key_records_total", type: .counter,
    help: "Records whose key was not known before their batch."
  ) { $0.keys.map { Double($0.unknown) } },
  .init(
    name: "evenkeel_stream_unusable_key_records_total", type: .counter,
    help: "Records without a usable key, or without a class that counts."
  ) { $0.keys.map { Double($0.unusable) } },
  .init(
    name: "evenkeel_stream_parameters_frozen", type: .gauge,
    help: "1 if γ and β are not learned for now, otherwise 0."
  ) { $0.parametersAreFrozen ? 1 : 0 },
  .init(
    name: "evenkeel_stream_records_total", type: .counter,
    help: "Records emitted. A record that is emitted again after a failure counts again."
  ) { Double($0.records) },
  .init(
    name: "evenkeel_stream_batches_total", type: .counter,
    help: "Batches emitted. A batch that is emitted again after a failure counts again."
  ) { Double($0.batches) },
  .init(
    name: "evenkeel_stream_bad_records_total", type: .counter,
    help: "Records that could not be read."
  ) { Double($0.badRecords) },
  .init(
    name: "evenkeel_stream_input_bytes_total", type: .counter,
    help: "Bytes read from the source, before decompressing."
  ) { Double($0.bytesIn) },
  .init(
    name: "evenkeel_stream_output_bytes_total", type: .counter,
    help: "Bytes written to the sink, after compressing."
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
      "Writes of a sink with when_full: drop_oldest that were dropped, because a reader was slow or there was none."
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
    name: "evenkeel_stream_dead_letters_total", type: .counter,
    help: "Dropped records that were written to the dead letters."
  ) { Double($0.deadLetters) },
  .init(
    name: "evenkeel_stream_checkpoint_failures_total", type: .counter,
    help: "Checkpoints that could not be written."
  ) { Double($0.checkpointFailures) },
  .init(
    name: "evenkeel_stream_checkpoint_duration_seconds", type: .gauge,
    help: "Duration of the last checkpoint, with the sync of the outputs. Absent before the first."
  ) { $0.checkpointSeconds },
  .init(
    name: "evenkeel_stream_checkpoint_size_bytes", type: .gauge,
    help: "Size of the last checkpoint; absent before the first."
  ) { $0.checkpointBytes.map(Double.init) },
  .init(
    name: "evenkeel_stream_producers", type: .gauge,
    help: "Connections that send records. Only for sources that are sockets."
  ) { $0.connectors.producers.map(Double.init) },
  .init(
    name: "evenkeel_stream_subscribers", type: .gauge,
    help: "Connections that take the output. Only for sinks that are sockets."
  ) { $0.connectors.subscribers.map(Double.init) },
  .init(
    name: "evenkeel_stream_subscriber_lag_bytes", type: .gauge,
    help: "Bytes that wait for the slowest subscriber."
  ) { $0.connectors.subscriberLag.map(Double.init) },
  .init(
    name: "evenkeel_stream_rate_limited_reads_total", type: .counter,
    help: "Waits because of limits.rate."
  ) { Double($0.rateLimitedReads) },
  .init(
    name: "evenkeel_stream_stalled_seconds", type: .gauge,
    help: "Time that the stream has waited for a subscriber that takes nothing; absent otherwise."
  ) { $0.connectors.stalledSeconds },
  .init(
    name: "evenkeel_stream_subscriber_timeouts_total", type: .counter,
    help: "Subscribers that were disconnected because they took nothing for too long."
  ) { Double($0.connectors.subscriberTimeouts) },
  .init(
    name: "evenkeel_stream_backlog_bytes", type: .gauge,
    help: "Bytes of a followed file that were not read yet."
  ) { $0.connectors.backlogBytes.map(Double.init) },
  .init(
    name: "evenkeel_stream_backlog_files", type: .gauge,
    help: "Files of a directory that were not read yet."
  ) { $0.connectors.backlogFiles.map(Double.init) },
  .init(
    name: "evenkeel_stream_backlog_messages", type: .gauge,
    help: "Messages of a topic that were not read yet."
  ) { $0.connectors.backlogMessages.map(Double.init) },
  .init(
    name: "evenkeel_stream_partitions", type: .gauge,
    help: "Partitions that run each by itself, since their state is in a topic."
  ) { $0.partitions.map { Double($0.count) } },
  .init(
    name: "evenkeel_stream_rebalances_total", type: .counter,
    help: "Changes of the partitions of the stream by its group."
  ) { $0.rebalances.map(Double.init) },
  .init(
    name: "evenkeel_stream_view_age_seconds", type: .gauge,
    help:
      "With scope global: how long ago the newest state of a partition came, the longest of all."
  ) { $0.viewAgeSeconds },
  .init(
    name: "evenkeel_stream_skipped_messages_total", type: .counter,
    help: "Messages without a value, which hold no record."
  ) { Double($0.connectors.skippedMessages) },
  .init(
    name: "evenkeel_stream_lost_messages_total", type: .counter,
    help: "Messages of a topic that were removed before they were read."
  ) { Double($0.connectors.lostMessages) },
  .init(
    name: "evenkeel_stream_delivered_messages_total", type: .counter,
    help: "Messages that brokers have stored."
  ) { Double($0.connectors.deliveredMessages) },
  .init(
    name: "evenkeel_stream_broker_errors_total", type: .counter,
    help: "Errors of brokers, such as a lost connection."
  ) { Double($0.connectors.brokerErrors) },
  .init(
    name: "evenkeel_stream_refused_connections_total", type: .counter,
    help: "Subscribers that were refused because the sink had the most."
  ) { Double($0.connectors.refusedConnections) },
  .init(
    name: "evenkeel_stream_rotated_files_total", type: .counter,
    help: "Output files that got their final name."
  ) { Double($0.connectors.rotatedFiles) },
  .init(
    name: "evenkeel_stream_warnings", type: .gauge,
    help: "Number of problems that do not stop the stream."
  ) { Double($0.warnings.count) },
]
