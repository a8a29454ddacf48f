package import BatchNormalization
package import Configuration
package import Records
package import State

/// A part of the processing of mini-batches.
///
/// For each batch, the chain calls `plan` of every operator, from the last to the first. Then it calls `commit` of
/// every operator, from the first to the last. They share one summary of the batch, which is computed before its values
/// change. Between two batches, the chain calls `apply` for a change that a user requests.
///
/// An operator is one file: it declares its settings, state, updates, metrics and events. One line in a list of
/// operators adds it to a program. Its state is in the table of the stream, where checkpoints and merges find it. Its
/// stored properties only contain settings and scratch memory.
package protocol BatchOperator: Sendable {
  static var declaration: OperatorDeclaration { get }

  /// Whether streams with these settings have the operator. One that is off costs nothing, and its state is not kept.
  static func isOn(_ settings: SettingValues) -> Bool

  /// - Parameter state: the table of the stream, with the groups of all operators.
  /// - Throws: `OperatorError` for settings that cannot be used.
  init(_ context: OperatorContext, _ state: borrowing StateTable) throws(OperatorError)

  /// Whether `plan` needs the moments in the summary of a batch with this number of records.
  func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool

  /// Whether `plan` needs the values of such a batch.
  func needsValues(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool

  /// Decides what the batch changes. May veto the update of a feature, and may refuse the batch. Must not change
  /// anything that a later batch sees, because another operator may refuse this batch.
  mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(OperatorError)

  /// Makes the planned changes, and adds events that leave with the batch.
  mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  )

  /// Makes a change that a user requests, between two batches.
  ///
  /// - Parameter update: one of the updates that the operator declares.
  /// - Throws: `OperatorError`. The chain then drops all changes.
  mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError)

  /// Notes that an update, of any operator, has changed γ or β. It must not refuse them.
  ///
  /// - Parameters:
  ///   - earlier: γ and β before the update.
  ///   - state: the state after it, with the new version.
  mutating func parametersChanged(since earlier: ParametersInForce, _ state: inout StateTable)

  /// Forgets the keys, in a copy that only shows the state. It costs nothing then when the keys change.
  mutating func forgetKeys()

  /// Whether records may be transformed and emitted before their batch is cut.
  func emitsBeforeCut(_ state: borrowing StateTable) -> Bool

  /// Whether held batches may be emitted now.
  func releasesHeld(_ state: borrowing StateTable) -> Bool
}

extension BatchOperator {
  package static func isOn(_ settings: SettingValues) -> Bool { true }

  package func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { false }

  package func needsValues(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { false }

  package mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(OperatorError) {}

  package mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    throw OperatorError(Self.declaration.name, UnknownUpdate(name: update.name))
  }

  package mutating func parametersChanged(
    since earlier: ParametersInForce, _ state: inout StateTable
  ) {}

  package mutating func forgetKeys() {}

  package func emitsBeforeCut(_ state: borrowing StateTable) -> Bool { true }

  package func releasesHeld(_ state: borrowing StateTable) -> Bool { true }
}

/// γ and β of all features, in their order, with their version.
package struct ParametersInForce: Sendable {
  package let version: Int
  package let parameters: (weight: [Double], bias: [Double])
}

/// The declarations of an operator.
package struct OperatorDeclaration: Sendable {
  package var name: String
  package var settings: SettingGroup
  package var stateGroups: [StateGroup]
  package var updates: [UpdateKind]
  package var metrics: [FeatureMetric]
  package var events: [EventKind]

  package init(
    _ name: String, settings: SettingGroup, stateGroups: [StateGroup] = [],
    updates: [UpdateKind] = [], metrics: [FeatureMetric] = [], events: [EventKind] = []
  ) {
    self.name = name
    self.settings = settings
    self.stateGroups = stateGroups
    self.updates = updates
    self.metrics = metrics
    self.events = events
  }
}

/// The stream for which an operator works.
package struct OperatorContext: Sendable {
  package var schema: FeatureSchema
  /// The width of written values. Every value must be finite in this width.
  package var outputPrecision: Precision
  /// The normalisation settings of the stream, for other operators.
  package var normalization: NormalizationSettings
  /// All settings of the stream, with those of all operators.
  package var settings: SettingValues
  /// Whether the source has no end.
  package var isLive: Bool
  /// The state that the settings say to compare the stream with, for the features of the stream.
  package var reference: StateTable?
  /// The moments of the prior, for the features of the stream.
  package var prior: PriorMoments?

  package init(
    schema: FeatureSchema, outputPrecision: Precision, normalization: NormalizationSettings,
    settings: SettingValues = SettingValues(), isLive: Bool = false, reference: StateTable? = nil,
    prior: PriorMoments? = nil
  ) {
    self.schema = schema
    self.outputPrecision = outputPrecision
    self.normalization = normalization
    self.settings = settings
    self.isLive = isLive
    self.reference = reference
    self.prior = prior
  }
}

/// The reason why an operator refuses a batch, an update or its settings.
package struct OperatorError: Error, CustomStringConvertible {
  /// The name of the operator.
  package let origin: String
  package let cause: any Error

  package init(_ origin: String, _ cause: any Error) {
    self.origin = origin
    self.cause = cause
  }

  package var description: String { "\(cause)" }
}

extension OperatorError: Equatable {
  /// Two errors are equal if they have the same operator and the same text.
  package static func == (left: OperatorError, right: OperatorError) -> Bool {
    left.origin == right.origin && left.description == right.description
  }
}

/// An update that no operator of the stream declares.
package struct UnknownUpdate: Error, Equatable, CustomStringConvertible {
  package let name: String

  package var description: String { "expected an update of the stream, found \(quoted(name))" }
}

/// All operators of Evenkeel, in the order in which they commit.
package enum BuiltInOperators {
  package static let all: [any BatchOperator.Type] = [
    Normalize.self, WatchDrift.self, LearnAffine.self,
  ]
}
