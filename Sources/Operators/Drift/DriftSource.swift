internal import BatchNormalization
internal import Glibc
internal import Records
internal import State

/// The origin of the references of a stream.
struct DriftSource: Sendable {
  /// In the state, a number for each kind; 0 is none yet.
  private enum Kind: Int, Sendable {
    case start = 1
    case checkpoint = 2
    case file = 3
    case slow = 4
  }

  private let kind: Kind
  /// The table of the file.
  private let given: StateTable?
  /// A number that tells files apart; 0 without one.
  private let digest: Int

  init(_ context: OperatorContext, _ state: borrowing StateTable) {
    switch DriftSettings.referenceInForce(context.settings) {
    case .start: kind = .start
    case .checkpoint: kind = .checkpoint
    case .slow: kind = .slow
    case nil: kind = .file
    }
    given = kind == .file ? context.reference?.regrouped(to: state.groups) : nil
    digest = given.map { Self.digest(of: $0) } ?? 0
  }

  /// Whether references follow the slow moments.
  var follows: Bool { kind == .slow }

  /// Whether the state has the references already.
  func isAdopted(by state: borrowing StateTable, _ columns: DriftColumns) -> Bool {
    state.value(columns.source) == kind.rawValue && state.value(columns.digest) == digest
  }

  /// Puts the references into the state, with the first batch.
  ///
  /// A file, or the state that the stream starts from, may have charts of its own: then their slow mean is the reference,
  /// and their spread holds from the first pool on. Else its running moments are the reference, and the spread is
  /// measured first. A feature that is not there learns its reference as with `start`.
  func adopt(
    into state: inout StateTable, _ columns: DriftColumns, _ normalizer: NormalizerColumns
  ) {
    state[columns.source][0] = kind.rawValue
    state[columns.digest][0] = digest
    let count = state.features.count
    var charts = DriftCharts(columns, of: state)
    let table = kind == .checkpoint ? state : given
    var shapes = DriftShapes(columns, taking: &state)
    for row in 0..<charts.count {
      var chart = charts[row]
      chart.isGiven = false
      if let table, let kind = DriftKind(rawValue: row / count) {
        chart = Self.chart(of: row % count, kind, row, in: table, columns, normalizer) ?? chart
      }
      charts[row] = chart
      if let table, chart.isGiven, row / count == DriftKind.distribution.rawValue {
        shapes.copy(row % count, from: table, columns)
      }
    }
    shapes.put(in: &state, columns)
    charts.put(in: &state, columns)
  }

  private static func chart(
    of feature: Int, _ kind: DriftKind, _ row: Int, in table: StateTable, _ columns: DriftColumns,
    _ normalizer: NormalizerColumns
  ) -> DriftChart? {
    let known = DriftCharts(columns, of: table)[row]
    var chart = DriftChart()
    chart.isGiven = true
    if known.pools > DriftRules.silentPools {
      chart.reference = known.mean
      chart.mean = known.mean
      chart.spread = known.spread
      (chart.spread.last, chart.spread.last2) = (known.mean, known.mean)
      (chart.spread.lastNew, chart.spread.lastNew2) = (0, 0)
      chart.pools = known.pools
      return chart
    }
    let present = normalizer.presentCounts(table)[feature]
    guard table[normalizer.momentWeight][feature] > 0 || table[normalizer.mean][feature] != 0 else {
      return nil
    }
    switch kind {
    case .mean: chart.reference = table[normalizer.mean][feature]
    case .spread:
      let deviation = table[normalizer.variance][feature].squareRoot()
      guard deviation > 0 else { return nil }
      chart.reference = log(deviation)
    case .missing, .clipped:
      let found = table[kind == .missing ? normalizer.missing : normalizer.clipped][feature]
      let total = present + (kind == .missing ? found : 0)
      guard total > 0 else { return nil }
      chart.reference = asin(min(1, Double(found) / Double(total)).squareRoot())
    case .distribution, .keys: return nil
    }
    return chart
  }

  /// FNV-1a over the numbers of a table, in 53 bits.
  private static func digest(of table: StateTable) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for column in table.groups.flatMap(\.columns) {
      for value in table[column.fileName]?.doubles ?? [] {
        hash = (hash ^ value.bitPattern) &* 0x100_0000_01b3
      }
    }
    return max(1, Int(hash >> 11))
  }
}
