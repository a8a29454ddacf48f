/// The versions of the state that normalised records.
package struct StateVersions: Sendable, Equatable {
  /// Increases with each batch that moves the moments, and with each update.
  package var state: Int
  /// The state version at which γ or β last changed.
  package var parameters: Int

  package init(state: Int, parameters: Int) {
    self.state = state
    self.parameters = parameters
  }
}

/// A record of a block from which on records were normalised by other versions than those before it.
package struct VersionMark: Sendable, Equatable {
  /// The index of the record in its block.
  package var record: Int
  package var versions: StateVersions

  package init(record: Int, _ versions: StateVersions) {
    self.record = record
    self.versions = versions
  }
}

extension RecordBlock {
  /// Notes the versions that normalised the records from an index on. Indices ascend.
  package mutating func mark(_ versions: StateVersions, from record: Int) {
    // Earlier records at the same index were none.
    if versionMarks.last?.record == record { versionMarks.removeLast() }
    if versionMarks.last?.versions == versions { return }
    versionMarks.append(VersionMark(record: record, versions))
  }

  /// The marks that concern some records: the first is at the first of them. Empty if there are none.
  package func versionMarks(of records: Range<Int>) -> [VersionMark] {
    guard !versionMarks.isEmpty, !records.isEmpty else { return [] }
    let first = versionMarks.lastIndex { $0.record <= records.lowerBound } ?? 0
    return versionMarks[first...].prefix { $0.record < records.upperBound }.map {
      VersionMark(record: max($0.record, records.lowerBound), $0.versions)
    }
  }
}
