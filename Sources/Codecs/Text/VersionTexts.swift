internal import Records

/// Spells the versions that normalised the records of a block, record by record.
struct VersionTexts {
  private var marks: ArraySlice<VersionMark>
  private var record: Int
  private var text: [UInt8]
  private let spell: (StateVersions?) -> [UInt8]

  /// - Parameters:
  ///   - block: its selected records are meant.
  ///   - spell: gets nil for a record whose versions are not known.
  init(_ block: RecordBlock, _ spell: @escaping (StateVersions?) -> [UInt8]) {
    marks = block.versionMarks(of: block.selectedRecords)[...]
    record = block.selectedRecords.lowerBound
    text = spell(nil)
    self.spell = spell
  }

  /// The text of the next record.
  mutating func next() -> [UInt8] {
    while let mark = marks.first, mark.record <= record {
      text = spell(mark.versions)
      marks.removeFirst()
    }
    record += 1
    return text
  }
}
