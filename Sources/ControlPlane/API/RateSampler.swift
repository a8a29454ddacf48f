internal import Dataflow
internal import Stream
internal import Supervision

/// Rates of a stream over the last seconds.
struct StreamRates: Codable, Equatable, Sendable {
  /// The time over which the rates are computed; 0 until there are two samples.
  var windowSeconds = 0.0
  var recordsPerSecond = 0.0
  var bytesInPerSecond = 0.0
  var bytesOutPerSecond = 0.0
}

/// Keeps one sample of the counters for each second, so that a single request gets rates.
struct RateSampler: Sendable {
  private struct Sample {
    var time: Instant
    var records: Int
    var bytesIn: Int
    var bytesOut: Int
  }

  private static let window = 10
  private var samples: [String: [Sample]] = [:]

  mutating func take(_ statuses: [StreamStatus], at time: Instant) {
    var next: [String: [Sample]] = [:]
    for status in statuses {
      let sample = Sample(
        time: time, records: status.records, bytesIn: status.bytesIn, bytesOut: status.bytesOut)
      let earlier = samples[status.name] ?? []
      // Counters that decrease belong to another stream with the same name.
      let continues = earlier.last.map { $0.records <= sample.records } ?? true
      next[status.name] = (continues ? earlier.suffix(Self.window) : []) + [sample]
    }
    samples = next
  }

  func rates(of stream: String) -> StreamRates {
    guard let samples = samples[stream], let first = samples.first, let last = samples.last,
      last.time > first.time
    else { return StreamRates() }
    let seconds = last.time.seconds(since: first.time)
    return StreamRates(
      windowSeconds: seconds,
      recordsPerSecond: Double(last.records - first.records) / seconds,
      bytesInPerSecond: Double(last.bytesIn - first.bytesIn) / seconds,
      bytesOutPerSecond: Double(last.bytesOut - first.bytesOut) / seconds)
  }
}
