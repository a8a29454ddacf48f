import BatchNormalization
import Configuration
import Operators
import Records
import State

/// Counts the batches of a stream in a group of its own, and raises an event with each.
struct CountBatches: BatchOperator {
  static let event = EventKind("counted", .info, help: "A batch was counted.")
  static let group = StateGroup(
    "seen", scope: .feature, columns: [.count("batches"), .real("mean", initial: 0)])

  static let declaration = OperatorDeclaration(
    "count_batches", settings: SettingGroup("Counting"), stateGroups: [group],
    updates: [
      UpdateKind("recount", help: "Counts from 0."),
      UpdateKind("spoil", help: "Leaves a number that no state can have."),
    ], events: [event])

  private let batches: CountColumn
  private let mean: RealColumn

  init(_ context: OperatorContext, _ state: borrowing StateTable) {
    batches = state.count("batches", of: "seen")
    mean = state.real("mean", of: "seen")
  }

  func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { role != .part }

  mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {
    guard plan.role != .part else { return }
    for j in state.features.names.indices {
      state[batches][j] += 1
      state[mean][j] = summary.features[j].moments.mean
    }
    events.append(OperatorEvent(Self.event, "batch \(state[batches][0])"))
  }

  mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    state.reset(groups: ["seen"])
    if update.name == "spoil" { state[mean][0] = .nan }
  }
}

/// Vetoes the update of the first feature while its mean is far off, and refuses batches of 13 records.
struct Guard: BatchOperator {
  struct Unlucky: Error, Equatable {}

  static let declaration = OperatorDeclaration("guard", settings: SettingGroup("Guard"))

  init(_ context: OperatorContext, _ state: borrowing StateTable) {}

  func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { true }

  mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(OperatorError) {
    if summary.recordCount == 13 { throw OperatorError("guard", Unlucky()) }
    if abs(summary.features[0].moments.mean) > 100 { plan.vetoUpdate(of: 0) }
  }

  mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {}
}

/// Leaves a number that no state can have, with each batch.
struct LeaveNaN: BatchOperator {
  static let declaration = OperatorDeclaration(
    "leave", settings: SettingGroup("Leaving"),
    stateGroups: [
      StateGroup("left", scope: .stream, columns: [.real("number", initial: 0), .count("touched")])
    ],
    updates: [UpdateKind("touch", help: "Changes the group with the number.")])

  private let number: RealColumn
  private let touched: CountColumn

  init(_ context: OperatorContext, _ state: borrowing StateTable) {
    number = state.real("number", of: "left")
    touched = state.count("touched", of: "left")
  }

  mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) { state[number][0] = .nan }

  mutating func apply(_ update: StreamUpdate, _ state: inout StateTable) throws(OperatorError) {
    state[touched][0] += 1
  }
}
