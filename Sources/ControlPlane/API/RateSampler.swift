internal import Stream
internal import Supervision

/// Rates of a stream over the last seconds.
struct StreamRates: Codable, Equatable, Sendable {
  /// The time that the rates are taken over; 0 until there are two samples.
  var windowSeconds = 0.0
  var recordsPerSecond = 0.0
  var bytesInPerSecond = 0.0
  var bytesOutPerSecond = 0.0
}

/// Samples the counters each second, so that a single request can be told rates.
actor RateSampler {
  private struct Sample {
    var time: ContinuousClock.Instant
    var records: Int
    var bytesIn: Int
    var bytesOut: Int
  }

  private static let window = 10
  private var samples: [String: [Sample]] = [:]

  /// Samples until the task is cancelled.
  func run(_ supervision: any StreamSupervision) async {
    while !Task.isCancelled {
      take(supervision.statuses(), at: .now)
      try? await Task.sleep(for: .seconds(1))
    }
  }

  func take(_ statuses: [StreamStatus], at time: ContinuousClock.Instant) {
    var next: [String: [Sample]] = [:]
    for status in statuses {
      let sample = Sample(
        time: time, records: status.records, bytesIn: status.bytesIn, bytesOut: status.bytesOut)
      let earlier = samples[status.name] ?? []
      // Counters that go back are those of another stream of that name.
      let continues = earlier.last.map { $0.records <= sample.records } ?? true
      next[status.name] = (continues ? earlier.suffix(Self.window) : []) + [sample]
    }
    samples = next
  }

  func rates(of stream: String) -> StreamRates {
    guard let samples = samples[stream], let first = samples.first, let last = samples.last,
      last.time > first.time
    else { return StreamRates() }
    let seconds = (last.time - first.time) / .seconds(1)
    return StreamRates(
      windowSeconds: seconds,
      recordsPerSecond: Double(last.records - first.records) / seconds,
      bytesInPerSecond: Double(last.bytesIn - first.bytesIn) / seconds,
      bytesOutPerSecond: Double(last.bytesOut - first.bytesOut) / seconds)
  }
}
