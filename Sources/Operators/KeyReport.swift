package import BatchNormalization
package import Records
package import State

/// Which keys of a stream to show.
package enum KeyQuery: Sendable, Equatable {
  /// The first ones in an order.
  case top(KeyRank, limit: Int)
  /// One, by its bytes.
  case named([UInt8])

  package static let mostKeys = 100
}

/// An order of keys.
package enum KeyRank: String, Sendable, CaseIterable {
  /// The one that was used the longest ago first.
  case oldest
  /// The one with the fewest values first.
  case fewest
  /// The one whose means are the farthest from those of all records first.
  case farthest
}

/// The counts of the keys of a stream, or of its classes.
package struct KeyCounts: Sendable, Equatable {
  /// The number of keys.
  package var known: Int
  /// Records without a usable key, and those whose key was not known before their batch.
  package var unusable, unknown: Int
  /// Keys that went for room, and those that went since they had no record for too long.
  package var evicted, expired: Int
  /// The settings of the classes; nil if keys are counted.
  package var classes: ClassSettings?

  package init(
    known: Int = 0, unusable: Int = 0, unknown: Int = 0, evicted: Int = 0, expired: Int = 0
  ) {
    (self.known, self.unusable, self.unknown) = (known, unusable, unknown)
    (self.evicted, self.expired) = (evicted, expired)
  }

  /// The counts of a stream with keys or classes; nil for another one.
  package init?(of state: borrowing StateTable, _ settings: NormalizationSettings) {
    guard settings.hasKeyRows else { return nil }
    self.init(of: state)
    classes = settings.classes
  }

  /// - Parameter state: a table with the groups of a normaliser.
  package init(of state: borrowing StateTable) {
    known = state.keyCount
    unusable = state[count: "evenkeel.key_counts.unusable"][0]
    unknown = state[count: "evenkeel.key_counts.unknown"][0]
    evicted = state[count: "evenkeel.key_counts.evicted"][0]
    expired = state[count: "evenkeel.key_counts.expired"][0]
  }

  /// A sentence for people if the columns seem to be the wrong ones, or if records have a class that does not count.
  package var warning: String? {
    guard unusable > 0, known == 0 && unknown == 0 || known < classes?.shares.count ?? 0 else {
      return nil
    }
    if let classes {
      let names = classes.shares.map(\.name)
      let expected =
        names.isEmpty ? "names of 1 to \(RecordKey.longest) bytes" : listed(names, atMost: 5)
      return
        "weight.class: expected \(expected) in column \(quoted(classes.column)), found \(known) of these classes and "
        + "\(unusable) record\(unusable == 1 ? "" : "s") without one, which count for nothing"
    }
    return
      "key.columns: expected values of 1 to \(RecordKey.longest) bytes, found none in \(unusable) records, "
      + "which are normalised by the moments of all"
  }
}

/// Some keys of a stream, and the counts of all.
package struct KeyReport: Sendable, Equatable {
  /// The moments of one feature by one key.
  package struct Feature: Sendable, Equatable {
    package var name: String
    /// n, the decayed weight of the values.
    package var weight: Double
    package var mean, deviation: Double
  }

  package struct Key: Sendable, Equatable {
    package var name: KeyName
    /// The number of records of the stream up to the last one of the key.
    package var lastRecord: Int
    /// The newest event time, in seconds since 1970; nil without event times.
    package var seenSeconds: Double?
    /// The greatest |μ_k − μ_G| / σ_G of the features; nil if none has both.
    package var distance: Double?
    package var features: [Feature]
  }

  package var counts: KeyCounts
  package var keys: [Key] = []

  /// - Parameter state: a table with the groups of a normaliser.
  package init(_ query: KeyQuery, of state: StateTable) {
    counts = KeyCounts(of: state)
    let count = state.keyCount
    let table = KeyTable(state)
    let rows: [Int]
    switch query {
    case .named(let name): rows = state.row(ofKey: name).map { [$0] } ?? []
    case .top(let rank, let limit):
      let measures = (0..<count).map { table.measure($0, rank) }
      rows = Array(
        (0..<count).sorted {
          (measures[$0], table.lastRecord($0)) < (measures[$1], table.lastRecord($1))
        }
        .prefix(limit))
    }
    keys = rows.map(table.key)
  }
}

/// The keys of a state, by their rows.
private struct KeyTable {
  private let state: StateTable
  private let columns: KeyColumns
  private let whole: NormalizerColumns
  private var width: Int { state.features.count }

  init(_ state: StateTable) {
    self.state = state
    columns = KeyColumns(in: state)
    whole = NormalizerColumns(in: state)
  }

  func lastRecord(_ row: Int) -> Int { state.count(columns.last, row: row) }

  /// The number by which a key comes earlier in an order the less it is.
  func measure(_ row: Int, _ rank: KeyRank) -> Double {
    switch rank {
    case .oldest: Double(lastRecord(row))
    case .fewest: (0..<width).map { state.number(columns.weight, row: row, feature: $0) }.max() ?? 0
    case .farthest: -(distance(row) ?? 0)
    }
  }

  private func distance(_ row: Int) -> Double? {
    (0..<width).compactMap { j -> Double? in
      let variance = state[whole.variance][j]
      guard state.number(columns.weight, row: row, feature: j) > 0, variance > 0 else {
        return nil
      }
      return abs(state.number(columns.mean, row: row, feature: j) - state[whole.mean][j])
        / variance.squareRoot()
    }.max()
  }

  func key(_ row: Int) -> KeyReport.Key {
    let seen = state.number(columns.seen, row: row)
    return KeyReport.Key(
      name: KeyName(state.keys[row]), lastRecord: lastRecord(row),
      seenSeconds: seen == 0 ? nil : seen / 1e6, distance: distance(row),
      features: (0..<width).compactMap { j in
        let weight = state.number(columns.weight, row: row, feature: j)
        guard weight > 0 else { return nil }
        return KeyReport.Feature(
          name: state.features.names[j], weight: weight,
          mean: state.number(columns.mean, row: row, feature: j),
          deviation: state.number(columns.variance, row: row, feature: j).squareRoot())
      })
  }
}
