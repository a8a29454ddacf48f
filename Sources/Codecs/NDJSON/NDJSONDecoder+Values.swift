internal import Records

/// The values and the text that the options of a decoder of NDJSON do not allow.
extension NDJSONDecoder {
  /// Throws an error if the options do not allow a value that is not a number.
  func check(
    _ value: JSONFeatureValue, in record: JSONRecord, of reader: JSONRecordReader
  ) throws(RecordFault) {
    var name: String { reader.features[value.feature].name }
    var text: String { RecordFault.quote(record.text[Int(value.start)..<Int(value.end)]) }
    switch value.kind {
    case .number:
      break
    case .invalid where options.onInvalid == .reject && record.spellsFiniteNumber(value):
      throw RecordFault(tooGreat: text, feature: name)
    case .null where options.onMissing == .reject,
      .invalid where options.onInvalid == .reject || options.onMissing == .reject:
      throw RecordFault(expected: "a number in feature '\(name)'", found: text)
    case .misplaced where options.onInvalid == .reject:
      throw RecordFault(expected: "a place for feature '\(name)'", found: text)
    case .null, .invalid, .misplaced:
      break
    }
  }

  /// Throws an error if the options do not allow an absent feature.
  func checkAbsent(
    _ record: JSONRecord, of reader: JSONRecordReader
  ) throws(RecordFault) {
    guard options.onMissing == .reject else { return }
    let present = Set(record.lazy.filter { $0.kind != .misplaced }.map(\.feature))
    let features = reader.features.indices.dropLast(options.roles.count)
    guard let absent = features.first(where: { !present.contains($0) }) else { return }
    throw RecordFault(
      expected: "a number in feature '\(reader.features[absent].name)'", found: "no such member")
  }

  // MARK: Text

  func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]? {
    block.textParts(
      of: records,
      // A record may lack all features.
      isRecord: { line, _ in !line.allSatisfy(Self.isSpace) },
      next: { text, start in
        guard start < text.count else { return nil }
        return start..<(text[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? text.count)
      })
  }

  /// Whether all text of records can be in the output: Arrow has text of UTF-8, which has no half of a surrogate pair.
  func hasText<Text: RandomAccessCollection<UInt8>>(_ records: Text) -> Bool
  where Text.Index == Int {
    !options.keepsFields || JSONText.loneSurrogate(in: records) == nil
  }

  /// Throws an error if the output cannot have the text of a record.
  func checkText<Text: RandomAccessCollection<UInt8>>(_ record: Text) throws(RecordFault)
  where Text.Index == Int {
    guard options.keepsFields, let half = JSONText.loneSurrogate(in: record) else { return }
    throw RecordFault(
      expected: "text that UTF-8 can hold, as Arrow has it",
      found: "half a surrogate pair, \(RecordFault.quote(record[half]))")
  }
}
