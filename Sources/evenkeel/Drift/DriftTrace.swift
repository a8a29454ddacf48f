internal import BatchNormalization
internal import Dataflow
internal import Operators
internal import Records
internal import State
internal import Stream

// Invariant: all mutable state is only touched with `lock` held.

/// The course of each feature over the batches of a run, in at most 256 points, and its alarms.
final class DriftTrace: @unchecked Sendable {
  // @unchecked because of the invariant.

  /// Some batches that follow each other.
  struct Point {
    var batches = 0
    var values = 0.0
    var missing = 0
    /// The least and the greatest mean of a batch.
    var least = Double.infinity
    var greatest = -Double.infinity
    var sum = 0.0
    var squares = 0.0

    var mean: Double? { values > 0 ? sum / values : nil }
    var missingShare: Double {
      let all = values + Double(missing)
      return all > 0 ? Double(missing) / all : 0
    }
    /// The deviation within batches.
    var deviation: Double? { values > 0 ? (squares / values).squareRoot() : nil }

    mutating func merge(_ other: Point) {
      batches += other.batches
      values += other.values
      missing += other.missing
      least = min(least, other.least)
      greatest = max(greatest, other.greatest)
      sum += other.sum
      squares += other.squares
    }
  }

  private static let mostPoints = 256

  private let lock = Lock()
  private var names: [String] = []
  private var points: [[Point]] = []
  private var batchesInPoint = 1
  private var records = 0
  private var batches = 0
  private var told: [OperatorEvent] = []

  /// Takes in the last batch, after it was cut.
  func note(_ view: OperatorView) {
    guard let summary = view.last?.summary else { return }
    lock.withLock {
      if names.isEmpty {
        names = view.state.features.names
        points = Array(repeating: [], count: names.count)
      }
      batches += 1
      records += summary.recordCount
      for (j, feature) in summary.features.enumerated() {
        var point = Point(batches: 1, missing: feature.missingCount)
        if let mean = feature.mean {
          point.values = Double(feature.presentCount)
          (point.least, point.greatest) = (mean, mean)
          point.sum = mean * point.values
          point.squares = feature.moments.m2
        }
        if let last = points[j].last, last.batches < batchesInPoint {
          points[j][points[j].count - 1].merge(point)
        } else {
          points[j].append(point)
        }
      }
      guard points[0].count > Self.mostPoints else { return }
      // Two points become one.
      for j in points.indices {
        points[j] = stride(from: 0, to: points[j].count, by: 2).map { index in
          var point = points[j][index]
          if index + 1 < points[j].count { point.merge(points[j][index + 1]) }
          return point
        }
      }
      batchesInPoint *= 2
    }
  }

  func note(_ event: OperatorEvent) {
    lock.withLock { told.append(event) }
  }

  var course: (names: [String], points: [[Point]], records: Int, batches: Int) {
    lock.withLock { (names, points, records, batches) }
  }

  var events: [OperatorEvent] { lock.withLock { told } }
}
