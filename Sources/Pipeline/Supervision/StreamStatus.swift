package import BatchNormalization
package import Features

/// What an operator sees of one stream of the daemon, at one moment.
package struct StreamStatus: Sendable, Equatable {
  package enum State: String, Sendable, CaseIterable {
    /// Its ends are being opened.
    case starting
    case running
    /// It failed and starts again after a pause.
    case backingOff = "backing_off"
    /// It emits what was read and then stops.
    case draining
    /// Its source has ended, and all is emitted.
    case finished
    /// It failed in a way that a restart cannot mend.
    case failed
  }

  package var name: String
  package var state: State
  package var source: String
  package var sink: String
  package var mode: NormalizationMode
  package var isFrozen: Bool
  /// The place in the stream behind the last batch that was normalised.
  package var position: StreamPosition
  package var records: Int
  package var batches: Int
  package var badRecords: Int
  package var bytesIn: Int
  package var bytesOut: Int
  package var restarts: Int
  package var checkpoints: Int
  /// Records read and not yet emitted.
  package var recordsInFlight: Int
  /// Seconds since the last record was read, or nil before the first.
  package var idleSeconds: Double?
  /// Seconds since the last checkpoint, or nil before the first.
  package var checkpointAgeSeconds: Double?
  package var lastError: String?
  /// From the cut of a batch to its emission.
  package var batchLatency: Histogram
  /// Records in a batch.
  package var batchSize: Histogram
  /// What an operator should know though the stream runs.
  package var warnings: [String]
  /// Writes that a reader lost because the sink is asked to drop what waits too long.
  package var droppedWrites = 0
}

/// Counts of observations by upper bound, as Prometheus has them.
package struct Histogram: Sendable, Equatable {
  /// Ascending; an observation counts in the first bucket whose bound is not below it.
  package let bounds: [Double]
  /// One more than `bounds`: the last counts what is above them all. Not cumulative.
  package private(set) var counts: [Int]
  package private(set) var sum = 0.0

  package init(bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  package mutating func observe(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
  }

  package var count: Int { counts.reduce(0, +) }
}

/// What an operator sees of one feature of a stream, as of the last batch.
package struct FeatureStatus: Sendable, Equatable {
  package var name: String
  /// μ and σ, running.
  package var mean: Double
  package var deviation: Double
  /// γ and β.
  package var weight: Double
  package var bias: Double
  /// Present values seen, missing ones, and clipped ones.
  package var values: Int
  package var missing: Int
  package var clipped: Int
  /// The last batch's mean and biased deviation; nil where the feature was missing in all of it.
  package var batchMean: Double?
  package var batchDeviation: Double?
  /// The corrections of the last batch in mode `renorm`; nil in others.
  package var renormScale: Double?
  package var renormShift: Double?

  /// The distance of the batch mean from the running mean, in running deviations.
  package var drift: Double? {
    guard let batchMean, deviation > 0 else { return nil }
    return (batchMean - mean) / deviation
  }
}

/// What an operator asks of a running stream; each takes effect between two batches.
package enum StreamCommand: Sendable, Equatable {
  case freeze
  case thaw
  /// Forgets the running moments; γ and β stay.
  case reset
  case checkpoint
  case mode(NormalizationMode)
  /// γ and β, in the order of the features or by name.
  case parameters(weight: [Double], bias: [Double], features: [String]?)
}

/// Why a command was not carried out.
package enum CommandRefusal: Error, Equatable, CustomStringConvertible {
  case noSuchStream(String)
  /// The stream does not run now.
  case notRunning(String)
  /// The command does not fit the stream; expected and found, in one line.
  case unfit(String)

  package var description: String {
    switch self {
    case .noSuchStream(let name): "no stream '\(name)'"
    case .notRunning(let name): "stream '\(name)' does not run"
    case .unfit(let reason): reason
    }
  }
}

/// The daemon as the control plane sees it.
package protocol StreamSupervision: Sendable {
  /// All streams, by name.
  func statuses() -> [StreamStatus]
  /// The features of a stream; empty before its first record.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus]
  /// Returns when the command has taken effect.
  func carryOut(_ command: StreamCommand, on stream: String) async throws(CommandRefusal)
  /// Why the daemon is not ready to serve; empty when it is.
  func unreadiness() -> [String]
}
