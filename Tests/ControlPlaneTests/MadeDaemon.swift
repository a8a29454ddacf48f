import BatchNormalization
import Foundation

@testable import Stream
@testable import Supervision

/// Made data that moves, for the page.
enum MadeDaemon {
  private static let weather = [
    "temp", "pressure", "wind_dir", "dewp", "humid", "wind_speed", "precip", "visib",
  ]

  /// Six streams, one of them failing and one with a warning, and eight features of the first.
  static func small() -> FakeSupervision {
    var statuses: [StreamStatus] = []
    for (name, source, sink) in [
      ("weather", "unix:/run/evenkeel/weather.in.sock", "file:/var/spool/evenkeel/weather.csv.zst"),
      ("clicks", "tcp:127.0.0.1:7001", "tcp:127.0.0.1:7002"),
      ("engine-vibration", "fifo:/run/evenkeel/engine", "unix:/run/evenkeel/engine.out.sock"),
      ("embeddings", "directory:/var/spool/embeddings", "file:/var/spool/embeddings.f32.zst"),
      ("payments", "follow:/var/log/payments.ndjson", "tcp:10.0.0.7:9000"),
      ("grid-load", "unix:/run/evenkeel/grid.in.sock", "stdout"),
    ] {
      var status = StreamStatus.made(name)
      (status.source, status.sink) = (source, sink)
      (status.badRecords, status.restarts, status.checkpointAgeSeconds) = (0, 0, 4)
      status.recordsInFlight = 256
      statuses.append(status)
    }
    statuses[2].mode = .batch
    statuses[3].isFrozen = true
    statuses[1].warnings = ["feature 'dwell': 38 % missing in the last 100 batches"]
    statuses[1].badRecords = 17
    statuses[4].state = .backingOff
    statuses[4].lastError = "sink tcp:10.0.0.7:9000: connection refused; next try in 8 s"
    statuses[4].restarts = 5
    let fake = FakeSupervision(statuses)
    fake.withState { state in
      state.features["weather"] = weather.map { FeatureStatus.made($0) }
      state.advance = { advance(&$0) }
    }
    return fake
  }

  private static func advance(_ state: inout FakeSupervision.State) {
    state.looks += 1
    let look = state.looks
    let perLook = [10_000.0, 2_400, 31_000, 5_200, 0, 48]
    for index in state.statuses.indices {
      let wave = 1 + 0.1 * sin(Double(look) / 9 + Double(index)) + 0.05 * noise(look, index)
      let records = Int(perLook[index] * wave)
      state.statuses[index].records += records
      state.statuses[index].batches += records / 256
      state.statuses[index].bytesIn += records * 38
      state.statuses[index].bytesOut += records * 61
      state.statuses[index].recordsInFlight = 128 + Int(90 * noise(look, index + 50))
      for _ in 0..<(records / 2560 + 1) {
        state.statuses[index].batchLatency.observe(0.002 + 0.006 * abs(noise(look, index)))
      }
    }
    guard var features = state.features["weather"] else { return }
    for index in features.indices { move(&features[index], index, look) }
    state.features["weather"] = features
  }

  /// A seasonal batch mean that the running moments follow; the pressure changes its unit.
  private static func move(_ feature: inout FeatureStatus, _ index: Int, _ look: Int) {
    let centre = [55.0, 1017, 190, 41, 62, 10.5, 0.006, 9.2][index]
    let spread = [18.0, 7.5, 105, 19, 20, 5.4, 0.05, 2.1][index]
    let season = sin(Double(look) / (14 + 3 * Double(index)) + Double(index))
    var batch = centre + spread * (0.55 * season + 0.22 * noise(look, index))
    if index == 1, look > 95 { batch += 3.2 * spread }
    let first = look <= 1
    let (oldMean, oldStddev) = (feature["mean"] ?? 0, feature["stddev"] ?? 0)
    let mean = first ? batch : 0.93 * oldMean + 0.07 * batch
    let distance = batch - mean
    let stddev =
      first
      ? spread
      : (0.97 * oldStddev * oldStddev
        + 0.03 * (0.7 * spread * spread + distance * distance)).squareRoot()
    let ratios = [0.0004, 0.104, 0.016, 0.0004, 0.0004, 0.003, 0, 0]
    let surge = index == 2 && look > 70 ? 0.00025 * Double(look - 70) : 0
    let values = Double(look * 10_000)
    let missing = (values * (ratios[index] + surge)).rounded()
    feature.set("mean", mean)
    feature.set("stddev", stddev)
    feature.set("batch_mean", batch)
    feature.set("batch_stddev", spread * 0.8)
    feature.set("drift", stddev > 0 ? distance / stddev : nil)
    feature.set("values", values)
    feature.set("missing", missing)
    feature.set("missing_ratio", missing / (values + missing))
    feature.set("clipped", 0)
  }

  /// Between -1 and 1, the same for the same numbers.
  private static func noise(_ look: Int, _ index: Int) -> Double {
    let value = sin(Double(look) * 12.9898 + Double(index) * 78.233) * 43758.5453
    return 2 * (value - value.rounded(.down)) - 1
  }
}
