import BatchNormalization
import Configuration
import Dataflow
import Dispatch
import Operators
import Records

@testable import Stream
@testable import Supervision

/// A daemon of made streams that records what it is asked to do.
final class FakeSupervision: StreamSupervision, @unchecked Sendable {
  // @unchecked because the queue guards the state.
  private let queue = DispatchQueue(label: "fake supervision")
  private var state: State

  struct State {
    var statuses: [StreamStatus]
    var features: [String: [FeatureStatus]] = [:]
    var drift: [String: [DriftAlarm]] = [:]
    var events: [LoggedEvent] = []
    var reasons: [String] = []
    var daemon = DaemonStatus()
    var refusal: CommandRefusal?
    /// The updates of operators that the settings turn off.
    var updatesOff: Set<String> = []
    /// The versions in the answer of an update.
    var versions: StateVersions?
    /// The offset of the answer of an update that all partitions make.
    var accepted: Int?
    /// Whether commands never take effect.
    var hangs = false
    var commands: [(command: StreamCommand, stream: String)] = []
    var looks = 0
    /// The taps of all streams.
    let taps = StreamTaps()
    /// Makes every look at the statuses wait, as for a stream that holds its lock.
    var statusGate: DispatchSemaphore?
    /// Whether a look waits at the gate.
    var isWaiting = false
    /// Moves the made data on, at each look at features: the page looks once a second.
    var advance: (@Sendable (inout State) -> Void)?
  }

  init(_ statuses: [StreamStatus], features: [String: [FeatureStatus]] = [:]) {
    state = State(statuses: statuses, features: features)
  }

  func withState<Result>(_ body: (inout State) -> Result) -> Result {
    queue.sync { body(&state) }
  }

  func statuses() -> [StreamStatus] {
    if let gate = withState({ $0.statusGate }) {
      withState { $0.isWaiting = true }
      gate.wait()
    }
    return withState { $0.statuses }
  }

  func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus] {
    let features = withState { state -> [FeatureStatus]? in
      state.advance?(&state)
      guard state.statuses.contains(where: { $0.name == stream }) else { return nil }
      return state.features[stream] ?? []
    }
    guard let features else { throw .noSuchStream(stream) }
    return features
  }

  func updates(
    of stream: String
  ) throws(CommandRefusal) -> [(kind: UpdateKind, isOn: Bool)] {
    guard withState({ $0.statuses.contains { $0.name == stream } }) else {
      throw .noSuchStream(stream)
    }
    let off = withState { $0.updatesOff }
    return BuiltInOperators.all.flatMap { $0.declaration.updates }
      .map { ($0, !off.contains($0.name)) }
  }

  func drift(of stream: String) throws(CommandRefusal) -> [DriftAlarm] {
    guard let drift = withState({ $0.drift[stream] }) else { throw .noSuchStream(stream) }
    return drift
  }

  func events(of stream: String, after number: Int) throws(CommandRefusal) -> [LoggedEvent] {
    guard withState({ $0.statuses.contains { $0.name == stream } }) else {
      throw .noSuchStream(stream)
    }
    return withState { $0.events }.filter { $0.number > number }
  }

  func request(
    _ command: StreamCommand, on stream: String, reply: @escaping CommandReply
  ) {
    let (refusal, hangs, answer) = withState { state in
      state.commands.append((command, stream))
      let isKnown = state.statuses.contains { $0.name == stream }
      let answer = state.accepted.map { CommandAnswer.accepted($0) } ?? .done(state.versions)
      return (isKnown ? state.refusal : .noSuchStream(stream), state.hangs, answer)
    }
    if let refusal { reply(.failure(refusal)) } else if !hangs { reply(.success(answer)) }
  }

  func tap(
    _ stream: String, _ options: TapOptions, _ receiver: any TapReceiver
  ) throws(CommandRefusal) {
    let taps = withState { state -> StreamTaps? in
      state.statuses.contains { $0.name == stream } ? state.taps : nil
    }
    guard let taps else { throw .noSuchStream(stream) }
    guard taps.add(receiver, options) else { throw .notRunning(stream) }
  }

  var daemonStatus: DaemonStatus { withState { $0.daemon } }

  func unreadiness() -> [String] { withState { $0.reasons } }
}

extension StreamStatus {
  /// A stream in good order.
  static func made(_ name: String, state: State = .running) -> StreamStatus {
    var latency = Histogram(bounds: [0.001, 0.01, 0.1, 1])
    for value in [0.0005, 0.004, 0.004, 2] { latency.observe(value) }
    var size = Histogram(bounds: [1, 64, 256])
    for value in [256, 256, 100, 3] { size.observe(Double(value)) }
    return StreamStatus(
      name: name, state: state, source: "unix:/run/in.sock", sink: "file:/var/out.csv.zst",
      mode: .running, isFrozen: false, events: ["spike": 2],
      changes: [ChangeOutcome("gradients", .stale): 3],
      position: StreamPosition(
        records: 615, byteOffset: 9000, frameOffset: 12, byteOffsetInFrame: 7),
      records: 615, batches: 4, badRecords: 2, bytesIn: 4000, bytesOut: 3000, restarts: 1,
      checkpoints: 3, recordsInFlight: 15, idleSeconds: 0.25, checkpointAgeSeconds: nil,
      lastError: nil, batchLatency: latency, batchSize: size, warnings: [],
      queues: ["emit": QueueDepth(elements: 2, bytes: 4096)])
  }
}

extension FeatureStatus {
  static func made(_ name: String) -> FeatureStatus {
    let values: [String: Double] = [
      "mean": 10, "stddev": 2, "weight": 1, "bias": 0, "values": 90, "missing": 10,
      "missing_ratio": 0.1, "clipped": 1, "batch_mean": 13, "batch_stddev": 1.5, "drift": 1.5,
      "limited": 0,
      "drift_alarm": 1, "drift_score": 1.5, "drift_size": 3, "drift_since_seconds": 60,
      "drift_alarms": 2,
    ]
    let metrics = BuiltInOperators.all.flatMap { $0.declaration.metrics }
    return FeatureStatus(
      name: name, readings: metrics.map { FeatureReading(metric: $0, value: values[$0.name]) })
  }

  mutating func set(_ metric: String, _ value: Double?) {
    for index in readings.indices where readings[index].metric.name == metric {
      readings[index].value = value
    }
  }
}

extension DriftAlarm {
  /// The alarms of a stream whose first feature has moved by three deviations ten batches ago.
  static func made(_ names: [String]) throws -> [DriftAlarm] {
    var values = SettingValues()
    values[DriftSettings.watch] = .on
    var chain = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(
        schema: FeatureSchema(names), outputPrecision: .float64, normalization: .init(),
        settings: values, isLive: true))
    for batch in 0..<310 {
      var block = FeatureColumns(featureCount: names.count, capacity: 64, precision: .float64)
      block.count = 64
      // The means of neighbouring batches differ a little.
      let level = Double(batch % 7) / 30
      block.values = .float64(
        names.indices.flatMap { feature in
          (0..<64).map { Double($0 % 8) / 2.3 + level + (feature == 0 && batch >= 300 ? 3 : 0) }
        })
      _ = try chain.operate(on: &block, elapsedSeconds: 2)
    }
    return DriftAlarm.drifting(in: chain.state)
  }
}
