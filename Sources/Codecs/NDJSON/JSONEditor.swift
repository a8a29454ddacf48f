internal import Configuration
internal import Records

/// Edits the records that another encoder writes as NDJSON: chooses their members, and adds that of the stamp.
///
/// The text of a member stays as it is. So does all text between members, unless members are chosen.
struct JSONEditor: RecordEncoder {
  private let encoder: any RecordEncoder
  private let choice: ColumnChoice?
  private let stamp: JSONStamp?

  /// - Parameters:
  ///   - encoder: writes the records with all members.
  ///   - names: those of the members, if every record has the same.
  /// - Returns: nil if the settings ask for no edit.
  private init?(
    _ encoder: any RecordEncoder, of names: [String]?, _ options: EncoderOptions
  ) throws(FormatError) {
    choice = ColumnChoice(options.settings)
    stamp = JSONStamp(options.settings)
    guard choice != nil || stamp != nil else { return nil }
    self.encoder = encoder
    guard let names else { return }
    let order = try choice.map { (choice) throws(FormatError) in try choice.order(of: names) }
    if let stamp {
      try options.requireNew([stamp.name], besides: order?.map { names[$0] } ?? names)
    }
  }

  /// The encoder with the edits that the settings ask for; the same if they ask for none.
  static func edited(
    _ encoder: any RecordEncoder, of names: [String]?, _ options: EncoderOptions
  ) throws(FormatError) -> any RecordEncoder {
    if let editor = try JSONEditor(encoder, of: names, options) { return editor }
    return encoder
  }

  func encodePrologue(into output: ByteBuffer) {
    encoder.encodePrologue(into: output)
  }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let written = ByteBuffer()
    encoder.encode(block, into: written)
    var versions = VersionTexts(block) { [stamp] versions in stamp?.member(versions) ?? [] }
    var members = JSONMemberOrder(choice)
    var rest = Array(written.readable)[...]
    while !rest.isEmpty {
      let line = rest[...(rest.firstIndex(of: 0x0A) ?? rest.endIndex - 1)]
      rest = rest[line.endIndex...]
      guard let start = line.firstIndex(of: UInt8(ascii: "{")),
        let end = line.lastIndex(of: UInt8(ascii: "}"))
      else {
        // A blank line.
        output.append(line)
        continue
      }
      output.append(line[...start])
      var isEmpty: Bool
      if choice == nil {
        output.append(line[(start + 1)..<end])
        isEmpty = line[(start + 1)..<end].allSatisfy(Self.isSpace)
      } else {
        isEmpty = true
        for member in members.chosen(from: line) {
          if !isEmpty { output.append(UInt8(ascii: ",")) }
          output.append(line[member])
          isEmpty = false
        }
      }
      let stamped = versions.next()
      if !isEmpty, !stamped.isEmpty { output.append(UInt8(ascii: ",")) }
      output.append(stamped)
      output.append(line[end...])
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0D
  }
}

/// The member that tells the versions which normalised a record.
struct JSONStamp: Sendable {
  let name: String

  /// Nil if the settings ask for none.
  init?(_ settings: SettingValues) {
    guard let name = settings[RecordSettings.stamp] else { return nil }
    self.name = name
  }

  /// The stamp whose name no record may have; nil if there is none.
  init?(of options: DecoderOptions) {
    guard options.keepsFormat else { return nil }
    self.init(options.settings)
    if let choice = ColumnChoice(options.settings), choice.rank(of: name) == nil { return nil }
  }

  func member(_ versions: StateVersions?) -> [UInt8] {
    let value =
      versions.map {
        #"{"state_version":\#($0.state),"parameters_version":\#($0.parameters)}"#
      } ?? "null"
    return JSONRecordReader.quoted(name) + [UInt8(ascii: ":")] + Array(value.utf8)
  }

  /// Refuses a record that has a member of that name.
  func check(_ line: ArraySlice<UInt8>) throws(RecordFault) {
    var walk = JSONWalk(line)
    while let (key, _) = walk.nextMember() {
      guard JSONText.unescaped(line[key]).elementsEqual(name.utf8) else { continue }
      throw RecordFault(
        expected: "a record without member \(quoted(name)), which output.stamp writes",
        found: "it: choose another name")
    }
  }
}

/// Chooses members of records. Remembers the choice for the members of the record before, because most records have
/// the same ones.
struct JSONMemberOrder {
  private let choice: ColumnChoice?
  /// The keys of the record before, with their escapes, and the ranks of their members.
  private var known: [(key: ArraySlice<UInt8>, rank: Int?)] = []

  init(_ choice: ColumnChoice?) {
    self.choice = choice
  }

  /// The bytes of the chosen members, from the key to the end of the value, in the order of the output.
  mutating func chosen(from record: ArraySlice<UInt8>) -> [Range<Int>] {
    var found: [(rank: Int, member: Range<Int>)] = []
    var walk = JSONWalk(record)
    var index = 0
    var isSorted = true
    while let (key, value) = walk.nextMember() {
      defer { index += 1 }
      guard let rank = rank(of: record[key], at: index) else { continue }
      if let last = found.last, last.rank > rank { isSorted = false }
      let end = value.range.upperBound + (value.kind == .string ? 1 : 0)
      found.append((rank, key.lowerBound - 1..<end))
    }
    if !isSorted {
      found.sort { ($0.rank, $0.member.lowerBound) < ($1.rank, $1.member.lowerBound) }
    }
    return found.map(\.member)
  }

  private mutating func rank(of key: ArraySlice<UInt8>, at index: Int) -> Int? {
    if index < known.count, known[index].key.elementsEqual(key) { return known[index].rank }
    let rank = choice?.rank(of: String(decoding: JSONText.unescaped(key), as: UTF8.self))
    known.removeSubrange(min(index, known.count)...)
    known.append((key, rank))
    return rank
  }
}
