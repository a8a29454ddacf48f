internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Connectors
internal import Operators
internal import Records
internal import Storage

extension StreamDefinition {
  /// Reads the section of a stream; nil if something is wrong in it, which is reported.
  init?(
    name: String, _ section: ConfigurationSection, from catalogue: Catalogue,
    stateDirectory: String, claims: inout ConnectorClaims, in fileSystem: any FileSystem
  ) {
    if !Self.isName(name) {
      section.report(
        "expected a name of at most 64 letters, digits, '.', '_' and '-', no '.' first, and not "
          + "'\(StateDirectoryLock.fileName)', since it names a directory", at: nil)
    }
    let source = SourceDefinition.read(
      section, of: name, from: catalogue.sources, claims: &claims, on: fileSystem)
    let sink = SinkDefinition(
      section, of: name, from: catalogue.sinks, claims: &claims, on: fileSystem)
    let read = Self.settings(
      section, from: catalogue, source?.location.path, sink?.location.path,
      hasMessages: source?.kind.splits == .partitions)
    let stream = read.flatMap { format, values in
      Self.stream(name, format, values, from: catalogue, at: section, in: fileSystem)
    }
    let foundGradients = SourceDefinition.readGradients(
      section, of: name, from: catalogue.sources, claims: &claims, on: fileSystem)
    guard let source, let sink, let stream, let (format, values) = read,
      case .success(let gradients) = foundGradients
    else { return nil }
    // The daemon keeps checkpoints of every stream.
    let offered = source.kind.offers.union([.stateDirectory, .checkpoint])
    var violations = values.unmetNeeds(
      of: catalogue.streamSettings, offered: offered, found: "source \(source.kind.name)")
    if let setting = sink.location.setting {
      violations += catalogue.contradictions(of: sink.location.path, by: setting, format, values)
    }
    let written = values[catalogue.outputFormat].flatMap { catalogue.formats.named($0) } ?? format
    if values[StateSettings.onSchemaChange] == .newFile, written.hasSchema,
      sink.kind.name != SinkKind.file.name
    {
      violations.append(
        SettingViolation(
          StateSettings.onSchemaChange,
          expected: .value(
            "a sink that is a file beside new_file, as a stream of \(written.name) has one schema"),
          found: sink.kind.name))
    }
    if let setting = written.needsFile(values), sink.kind.name != SinkKind.file.name {
      violations.append(
        SettingViolation(
          setting,
          expected: .value("a sink that is a file beside it, or container: stream"),
          found: sink.kind.name))
    }
    violations += Self.topicViolations(source, sink, stream.format, values)
    violations += TopicStateSettings.violations(source, sink, values)
    for violation in violations { section.report(violation) }
    if source.kind.name == SourceKind.kafka.name, sink.kind.name == SinkKind.kafka.name,
      source.location.text == sink.location.text
    {
      section.report("expected a sink other than the source", at: "sink")
    }
    if let place = KafkaSettings.letterPlace(values),
      place == source.location.text || place == sink.location.text
    {
      section.report(
        SettingViolation(
          KafkaSettings.letterTopic, expected: .value("a topic other than the source and the sink"),
          found: "the same"))
    }
    for path in source.locations.compactMap(\.canonicalPath) {
      guard let output = sink.location.path else { break }
      // A FIFO or a socket may well be written by one stream and read by another, but not by itself.
      if path == sink.location.canonicalPath {
        section.report("expected a sink other than the source", at: "sink")
      } else if Self.directories(of: output, in: fileSystem).contains(path) {
        // The stream would read the files that it writes.
        section.report("expected a sink outside the directory of the source", at: "sink")
      }
    }
    self.name = name
    self.stream = stream
    let writesMessages =
      sink.kind.name == SinkKind.kafka.name && sink.values[KafkaSettings.payload] == .message
    if source.kind.splits == .partitions,
      writesMessages || values[KafkaSettings.letterTopic] != nil
    {
      self.stream.keepsMessages = true
    }
    self.stream.compressionLevel = OutputSettings.level(
      values, compressed: sink.kind.isCompressed(sink.values))
    self.source = source
    self.sink = sink
    self.gradients = gradients
    checkpoint = CheckpointOptions(values)
    partitions = TopicStateSettings.partitions(source, sink, values, of: name)
    viewAheadSeconds = TopicStateSettings.viewAheadSeconds(values)
    parameters = values[StateSettings.parameters].map {
      ParametersOptions(
        file: $0, place: section.place(of: StateSettings.parameters),
        watches: values[StateSettings.watchesParameters])
    }
    deadLetters = DeadLetterOptions(values)
    letterTopic = KafkaSettings.openLetters(values)
    restart = RestartOptions(values)
    place = section.place(of: nil)
    fingerprint =
      [stateDirectory]
      + Self.fingerprint(catalogue.streamSettings + [stream.format.settings], values)
      + ["source \(source.kind.name)"] + Self.fingerprint([source.kind.settings], source.values)
      + source.parts.flatMap { part in
        ["source \(part.kind.name)"] + Self.fingerprint([part.kind.settings], part.values)
      }
      + ["sink \(sink.kind.name)"] + Self.fingerprint([sink.kind.settings], sink.values)
      + ["format \(stream.format.name)"]
      // Another file under the same path replaces the stream at a reload.
      + (stream.prior.map { ["prior \($0.identity)"] } ?? [])
    if let gradients {
      fingerprint +=
        ["gradients \(gradients.kind.name)"]
        + Self.fingerprint([gradients.kind.settings], gradients.values)
    }
  }

  /// The settings that do not fit the messages of a topic.
  private static func topicViolations(
    _ source: SourceDefinition, _ sink: SinkDefinition, _ format: RecordFormat,
    _ values: SettingValues
  ) -> [SettingViolation] {
    var found: [SettingViolation] = []
    if source.kind.splits == .partitions {
      if format.name == RecordFormat.csv.name, values[CSVSettings.header] {
        found.append(
          SettingViolation(
            CSVSettings.header,
            expected: .value("header: false beside a source of messages, which have no header"),
            found: "true"))
      }
      if format.name == RecordFormat.raw.name, values[RawSettings.npy] {
        found.append(
          SettingViolation(
            RawSettings.npy, expected: .value("raw rows in the messages of a source"),
            found: "a NumPy file"))
      }
      if values.isGiven(CSVSettings.comment), sink.kind.name == SinkKind.kafka.name {
        found.append(
          SettingViolation(
            CSVSettings.comment,
            expected: .value("none between topics, as each message is a record"), found: "one"))
      }
    }
    if sink.kind.name == SinkKind.kafka.name, sink.values[KafkaSettings.payload] == .message,
      OutputSettings.level(values, compressed: false) != nil
    {
      found.append(
        SettingViolation(
          OutputSettings.compression,
          expected: .value("payload: frame of the sink beside compressed output"),
          found: "payload: message"))
    }
    return found
  }

  /// The directories that list an output: those of its name and of the file that a link there leads to.
  private static func directories(of output: String, in fileSystem: any FileSystem) -> [String] {
    [
      fileSystem.canonicalPath(parentDirectory(of: output)),
      parentDirectory(of: fileSystem.canonicalPath(output)),
    ]
  }

  /// The values of groups as lines, the same for values that mean the same.
  private static func fingerprint(
    _ groups: [SettingGroup], _ values: SettingValues
  ) -> [String] {
    groups.flatMap { group in
      values.texts(of: group).map { "\(group.section ?? "").\($0.key) \($0.text)" }
    }
  }

  /// The format and the values of the settings of the stream and its format; nil if something is wrong.
  private static func settings(
    _ section: ConfigurationSection, from catalogue: Catalogue, _ input: String?,
    _ output: String?, hasMessages: Bool
  ) -> (format: RecordFormat, values: SettingValues)? {
    let kind = section.kind("format", of: catalogue.formats.map(\.name))
    let format = kind.flatMap { catalogue.formats.named($0.name) }
    let ofFormat = format.flatMap { kind?.section.read([$0.settings]) }
    guard var values = section.read(catalogue.streamSettings), let format, let ofFormat else {
      return nil
    }
    values.merge(ofFormat)
    catalogue.suggest(by: input, output, of: format, &values)
    values.suggest(NormalizeSettings.messageTimes, hasMessages)
    // A stream that nobody looks at must tell by itself; a command answers to the one who called it.
    values.suggest(DriftSettings.watch, .on)
    guard section.check(catalogue.streamSettings + [format.settings], values) else { return nil }
    let violations = catalogue.violations(of: format, in: values)
    for violation in violations { section.report(violation) }
    return violations.isEmpty ? (format, values) : nil
  }

  private static func stream(
    _ name: String, _ format: RecordFormat, _ values: SettingValues, from catalogue: Catalogue,
    at section: ConfigurationSection, in fileSystem: any FileSystem
  ) -> StreamConfiguration? {
    var stream: StreamConfiguration
    do {
      stream = try StreamConfiguration(
        name: name, format: format, values, from: catalogue, in: fileSystem)
    } catch {
      section.report(
        SettingViolation(
          InputSettings.dictionary, expected: .value("a dictionary"), found: "\(error)"))
      return nil
    }
    do {
      try stream.readPrior(in: fileSystem)
    } catch {
      section.report(
        SettingViolation(
          NormalizeSettings.priorCheckpoint, expected: .value("a checkpoint"), found: "\(error)"))
      return nil
    }
    return stream
  }

  private static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
      && name != StateDirectoryLock.fileName
      && name.utf8.allSatisfy { byte in
        byte < 0x80
          && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber
            || "._-".utf8.contains(byte))
      }
  }
}

extension ConnectorDefinition {
  /// Reads the section of a source or a sink; nil if something is wrong in it, which is reported.
  fileprivate init?(
    _ stream: ConfigurationSection, of name: String, from kinds: [Kind],
    claims: inout ConnectorClaims, on fileSystem: any FileSystem
  ) {
    guard let chosen = stream.kind(Kind.role.rawValue, of: kinds.map(\.name)) else { return nil }
    self.init(chosen, of: name, from: kinds, claims: &claims, on: fileSystem)
  }

  /// Reads the section of a kind.
  init?(
    _ chosen: (name: String, section: ConfigurationSection), of name: String, from kinds: [Kind],
    claims: inout ConnectorClaims, on fileSystem: any FileSystem
  ) {
    let (role, section) = (Kind.role, chosen.section)
    guard let kind = kinds.first(where: { $0.name == chosen.name }),
      let values = section.values(of: kind.settings)
    else { return nil }
    self.kind = kind
    self.values = values
    open = kind.open(values)
    location = ConnectorLocation(
      kind.place(values), of: chosen.name, in: section, isShareable: kind.isShareable,
      on: fileSystem)
    if let holder = claims.take(location, as: role, for: name) {
      section.report(
        "expected a \(role.rawValue) that no other stream has, found that of stream '\(holder)'",
        at: location.setting)
    }
  }
}

extension SourceDefinition {
  /// Whether a file is one of the directory that it reads.
  fileprivate func readsAgain(_ path: String) -> Bool {
    guard let directory = location.canonicalPath, parentDirectory(of: path) == directory,
      let pattern = kind.settings.settings.first(where: { $0.key == "pattern" })?.text(in: values)
    else { return false }
    return Glob(pattern).matches(String(path.dropFirst(directory.count).drop { $0 == "/" }))
  }

  /// Reads the source of a stream, or the sources of a sequence.
  fileprivate static func read(
    _ stream: ConfigurationSection, of name: String, from kinds: [SourceKind],
    claims: inout ConnectorClaims, on fileSystem: any FileSystem
  ) -> SourceDefinition? {
    let elements = stream.list(
      SourceKind.role.rawValue, under: SourceKind.sequenceName, of: "sources",
      SourceKind.sequenceCounts)
    guard let elements else {
      return SourceDefinition(stream, of: name, from: kinds, claims: &claims, on: fileSystem)
    }
    var parts: [SourceDefinition] = []
    for (index, element) in elements.enumerated() {
      if element.contains(SourceKind.sequenceName) {
        element.refuse(SourceKind.sequenceName, "expected a source, found a sequence in a sequence")
        continue
      }
      let expected = "exactly one of \(kinds.map(\.name).joined(separator: ", "))"
      guard let chosen = element.onlyKind(of: kinds.map(\.name), expected: expected),
        let part = SourceDefinition(
          chosen, of: name, from: kinds, claims: &claims, on: fileSystem)
      else { continue }
      if let reason = part.kind.refusal(
        inSequence: index == elements.count - 1, part.values)
      {
        element.report(reason, at: nil)
      } else if let path = part.location.canonicalPath,
        parts.contains(where: { $0.location.canonicalPath == path })
      {
        element.report(
          "expected another path than that of an earlier source, found the same", at: nil)
      } else if let file = parts.compactMap(\.location.canonicalPath).first(where: part.readsAgain)
      {
        element.report(
          "expected a directory whose pattern leaves out the files of earlier sources, found \(quoted(file)) in it",
          at: nil)
      } else {
        parts.append(part)
      }
    }
    guard !elements.isEmpty, parts.count == elements.count else { return nil }
    let kind = SourceKind.sequence(of: parts.map { ($0.kind, $0.values) })
    let values = SettingValues()
    return SourceDefinition(
      kind: kind, values: values, open: kind.open(values),
      location: parts[parts.count - 1].location, parts: parts)
  }
}

extension CheckpointOptions {
  fileprivate init(_ values: SettingValues) {
    if values[TopicStateSettings.topic] != nil {
      schedule = TopicStateSettings.schedule(values)
      return
    }
    schedule.intervalSeconds = values[StateSettings.interval]
    schedule.everyBatches = values[StateSettings.everyBatches]
    keep = values[StateSettings.keep]
  }
}

extension DeadLetterOptions {
  fileprivate init(_ values: SettingValues) {
    maxBytes = values[BadRecordSettings.maxBytes]
    keep = values[BadRecordSettings.keep]
  }
}

extension RestartOptions {
  fileprivate init(_ values: SettingValues) {
    initialSeconds = values[RestartSettings.initial]
    maxSeconds = values[RestartSettings.max]
    resetAfterSeconds = values[RestartSettings.resetAfter]
  }
}
