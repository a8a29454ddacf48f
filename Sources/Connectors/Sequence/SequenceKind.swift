package import Configuration
internal import Storage

extension SourceKind {
  /// The name of a list of sources that are read one after another, in a configuration.
  package static let sequenceName = "sequence"
  package static let sequenceCounts = 2...16

  /// The list as a setting, for the tables of the documents. A file has sources in it, each with its own settings.
  package static let sequenceSettings = SettingGroup(
    sequenceName,
    [
      Setting(
        required: "[…]", .texts,
        help:
          "2 to 16 sources as one: each is read when the one before it has ended. All but the last are a `file` or a "
          + "`directory`, of which the files are read that are there when the stream begins. The last is a `follow` or a "
          + "`directory`.")
    ])

  /// The reason why a source cannot stand at its place in a sequence; nil if it can.
  ///
  /// - Parameter values: those of its settings.
  package func refusal(inSequence isLast: Bool, _ values: SettingValues) -> String? {
    if isLast {
      // No checkpoint before its first record knows where the end was.
      let starts = settings.settings.first { $0.key == "start" }?.text(in: values)
      if starts == "end" {
        return
          "expected start: beginning in a sequence, found end, which leaves out what came before it"
      }
      guard isLive, splits == .files else {
        return
          "expected a source that goes on and can be read again, follow or directory, as the last one, found \(name)"
      }
      return nil
    }
    guard openBacklog == nil else { return nil }
    return "expected a source that ends, file or directory, before the last one, found \(name)"
  }

  /// Several sources as one, which reads them one after another.
  ///
  /// - Parameter parts: sources without a refusal at their places.
  package static func sequence(
    of parts: [(kind: SourceKind, values: SettingValues)]
  ) -> SourceKind {
    let elements = parts.enumerated().map { index, part in
      let isLast = index == parts.count - 1
      let open = isLast ? part.kind.open : part.kind.openBacklog ?? part.kind.open
      return SequenceSource.Element(
        open: open(part.values), path: part.kind.place(part.values).text)
    }
    let last = parts[parts.count - 1]
    return SourceKind(
      name: sequenceName, isLive: true, splits: .files, settings: SettingGroup(sequenceName),
      isShareable: true, descriptorCount: parts.map(\.kind.descriptorCount).reduce(0, +),
      place: { _ in last.kind.place(last.values) },
      open: { _ in
        { context throws(FileError) in try SequenceSource(elements, in: context) }
      })
  }
}
