internal import Records
package import State

// Invariant: a view is only read with a momentum under which weights of several streams add up (`cumulative`, or a
// half-life in event time), and with `estimator: total`.

/// The columns of a view: the moments of other streams, by which a stream normalises as if it had read them too.
///
/// A view is part of the state, so that a replay normalises alike. It is never part of the running moments.
package struct ViewColumns: Sendable {
  let weight, mean, variance: RealColumn
  /// With a half-life in event time: the weight of the values at `time`, in whole microseconds since 1970.
  let decayedWeight, time: RealColumn

  init(in table: borrowing StateTable) {
    weight = table.real("weight", of: "view")
    mean = table.real("mean", of: "view")
    variance = table.real("variance", of: "view")
    decayedWeight = table.real("decayed_weight", of: "view")
    time = table.real("time", of: "view")
  }

  /// A merged state has no view, since the streams that it is of may be among those that were merged.
  static let group = StateGroup(
    "view", scope: .feature,
    columns: [
      .real("weight", initial: 0, in: StateColumn.countable), .real("mean", initial: 0),
      .real("variance", initial: 0, in: StateColumn.nonNegative),
      .real("decayed_weight", initial: 0, in: StateColumn.countable),
      .real("time", initial: 0, in: StateColumn.microseconds),
    ], isOptional: true, merge: { rows, _ in rows.reset() })
}

/// The moments of one feature, with the weight that they have beside others.
struct WeighedMoments {
  var mean, variance, weight: Double
  /// The same for the variance, which may rest on fewer values.
  var varianceWeight: Double
  /// The event time at which they have this weight, in whole microseconds since 1970; nil without decay.
  var time: Double?
}

/// The moments of other streams.
struct PeerView {
  private struct Feature {
    /// N, and with a half-life in event time the weight of the values at `time`.
    var values, decayed: Double
    var mean, variance, time: Double
  }

  private let features: [Feature]

  /// - Returns: nil if the state has none.
  init?(_ state: borrowing StateTable, _ columns: ViewColumns) {
    let values = state[columns.weight]
    guard values.contains(where: { $0 > 0 }) else { return nil }
    features = values.indices.map { j in
      Feature(
        values: values[j], decayed: state[columns.decayedWeight][j], mean: state[columns.mean][j],
        variance: state[columns.variance][j], time: state[columns.time][j])
    }
  }

  /// The values of feature `j` in other streams.
  func values(of j: Int) -> Double { features[j].values }

  var newest: Double? { features.map(\.time).max() }

  /// The moments of feature `j` merged with those of other streams: both at the later time.
  ///
  /// Sources: Chan, Golub & LeVeque 1979; Cormode et al. 2009 for the decay.
  func merged(_ own: WeighedMoments, _ j: Int, eventHalfLife: Double?) -> WeighedMoments {
    let view = features[j]
    guard view.values > 0 else { return own }
    var (kept, added, later) = (own.weight, view.values, own.time)
    if let eventHalfLife {
      let decay = EventDecay(halfLife: eventHalfLife)
      let newest = max(own.time ?? view.time, view.time)
      kept *= decay.factor(from: own.time ?? newest, to: newest)
      added = view.decayed * decay.factor(from: view.time, to: newest)
      later = newest
    }
    let (mean, variance) = mergedByWeight(
      (own.mean, own.variance, kept), (view.mean, view.variance, added))
    return WeighedMoments(
      mean: mean, variance: variance, weight: kept + added, varianceWeight: kept + added,
      time: later)
  }
}

extension NormalizerColumns {
  /// The newest event time of the running moments, in whole microseconds since 1970; nil without event times.
  package func newestTime(of state: borrowing StateTable) -> Double? {
    state[time].max().flatMap { $0 == 0 ? nil : $0 }
  }

  /// Replaces the view of a state by the moments of other states.
  ///
  /// - Parameter others: states with the same features and the same half-life.
  /// - Returns: whether the view is another one now.
  /// - Throws: `StateError` for states that cannot be merged.
  package func setView(
    of state: inout StateTable, to others: [StateTable]
  ) throws(StateError) -> Bool {
    var whole = StateTable([Self.moments], features: state.features)
    for other in others { try whole.merge(other.regrouped(to: [Self.moments])) }
    func column(_ name: String) -> [Double] { whole[whole.real(name, of: "moments")] }
    let weight = column("weight")
    let columns = [
      (view.weight, weight), (view.mean, column("mean")),
      // The initial variance is 1.
      (view.variance, zip(weight, column("variance")).map { $0 > 0 ? $1 : 0 }),
      (view.decayedWeight, column("decayed_weight")), (view.time, column("time")),
    ]
    var isOther = false
    for (column, values) in columns where state[column] != values {
      state[column] = values
      isOther = true
    }
    return isOther
  }
}
