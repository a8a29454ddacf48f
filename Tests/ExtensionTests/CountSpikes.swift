import BatchNormalization
import Configuration
import Operators
import Records
import State

/// A made-up operator in one file. It counts the batches in which a feature's mean is far from its running mean.
///
/// It raises an event for each such batch, and keeps the batch from moving the moments of the feature.
struct CountSpikes: BatchOperator {
  static let limit = Setting(
    "limit", .positive, default: 3, option: .value("spike-limit", "z"),
    help: "The distance of a batch mean from the running mean, in standard deviations.")

  static let group = StateGroup("spikes", scope: .feature, columns: [.count("batches")])
  static let event = EventKind("spike", .warning, help: "A batch mean was far off.")

  static let declaration = OperatorDeclaration(
    "count_spikes", settings: SettingGroup("Spikes", section: "spikes", [limit]),
    stateGroups: [group],
    updates: [UpdateKind("spikes", body: Count.self, help: "Sets the count of every feature.")],
    metrics: [
      FeatureMetric(
        "spikes", heading: "spikes", series: "evenkeel_feature_spikes", isCount: true,
        help: "Batches with a mean that was far off."
      ) { view in
        // A state of a program without the operator has no such column.
        guard case .count(let counts) = view.state["evenkeel.spikes.batches"] else {
          return view.state.features.names.map { _ in nil }
        }
        return counts.map(Double.init)
      }
    ], events: [event])

  struct Count: UpdateBody {
    var batches: Int

    static let members = ["batches"]
  }

  private let limit: Double
  private let batches: CountColumn
  private let mean, variance: RealColumn
  private let seen: CountColumn
  /// Planned for the batch under way.
  private var spikes: [Int] = []

  init(_ context: OperatorContext, _ state: borrowing StateTable) {
    limit = context.settings[Self.limit]
    batches = state.count("batches", of: "spikes")
    mean = state.real("mean", of: "moments")
    variance = state.real("variance", of: "moments")
    seen = state.count("batches", of: "moments")
  }

  func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { role != .part }

  mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) {
    spikes = []
    guard plan.role != .part else { return }
    let (mean, variance, seen) = (state[mean], state[variance], state[seen])
    for (j, feature) in summary.features.enumerated() where seen[j] > 0 {
      let distance = abs(feature.moments.mean - mean[j])
      guard feature.moments.weight > 0, distance > limit * variance[j].squareRoot() else {
        continue
      }
      spikes.append(j)
      plan.vetoUpdate(of: j)
    }
  }

  mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {
    for j in spikes {
      state.add(1, to: batches, row: j)
      events.append(
        OperatorEvent(
          Self.event, feature: state.features.names[j],
          "mean \(summary.features[j].moments.mean) of the batch"))
    }
  }

  mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    guard let count = update.body as? Count else { return }
    for j in state.features.names.indices { state[batches][j] = count.batches }
  }
}
