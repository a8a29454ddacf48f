internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Connectors
internal import Records
internal import Storage

/// Durations that something may wait, in seconds.
private let waits = 0.001...86_400.0

extension StreamDefinition {
  /// Reads the section of a stream; nil where it has no source, format or sink, which is reported.
  init?(
    name: String, _ section: ConfigurationSection, stateDirectory: String,
    claims: inout ConnectorClaims, in fileSystem: any FileSystem
  ) {
    if !Self.isName(name) {
      section.report(
        "expected a name of at most 64 letters, digits, '.', '_' and '-', no '.' first, since it "
          + "names a directory", at: nil)
    }
    let source = SourceDefinition(section, of: name, claims: &claims)
    let sink = SinkDefinition(section, of: name, claims: &claims)
    let stream = StreamConfiguration(name: name, section, in: fileSystem)
    checkpoint = CheckpointOptions(section.sectionOrDefaults("checkpoint"))
    parameters = section.section("parameters").map { ParametersOptions($0) }
    deadLetters = DeadLetterOptions(section.sectionOrDefaults("dead_letters"))
    restart = RestartOptions(section.sectionOrDefaults("restart"))
    guard let source, let sink, let stream else { return nil }
    // A FIFO or a socket may well be written by one stream and read by another, but not by itself.
    if let path = source.location.path, path == sink.location.path {
      section.report("expected a sink other than the source", at: "sink")
    }
    self.name = name
    self.stream = stream
    self.source = source
    self.sink = sink
    place = section.place(of: nil)
    fingerprint = stateDirectory + "\n" + section.canonicalText
  }

  private static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.utf8.allSatisfy { byte in
        byte < 0x80
          && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber
            || "._-".utf8.contains(byte))
      }
  }
}

extension SourceDefinition {
  fileprivate init?(
    _ stream: ConfigurationSection, of name: String, claims: inout ConnectorClaims
  ) {
    let kinds = BuiltInSources.all
    guard let (chosen, section) = stream.kind("source", of: kinds.map(\.name)),
      let kind = kinds.first(where: { $0.name == chosen })
    else { return nil }
    self.kind = kind
    open = kind.configure(section)
    location = ConnectorLocation(section, kind: chosen, isShareable: kind.isShareable)
    if let holder = claims.takeSource(location, for: name) {
      section.report(
        "expected a source of its own, found that of stream '\(holder)'",
        at: location.key(in: section))
    }
  }
}

extension SinkDefinition {
  fileprivate init?(
    _ stream: ConfigurationSection, of name: String, claims: inout ConnectorClaims
  ) {
    let kinds = BuiltInSinks.all
    guard let (chosen, section) = stream.kind("sink", of: kinds.map(\.name)),
      let kind = kinds.first(where: { $0.name == chosen })
    else { return nil }
    self.kind = kind
    open = kind.configure(section)
    location = ConnectorLocation(section, kind: chosen, isShareable: false)
    if let holder = claims.takeSink(location, for: name) {
      section.report(
        "expected a sink of its own, found that of stream '\(holder)'",
        at: location.key(in: section))
    }
  }
}

extension ConnectorLocation {
  /// The key of the section that tells the location.
  fileprivate func key(in section: ConfigurationSection) -> String? {
    place.path == section.path ? nil : place.path.split(separator: ".").last.map(String.init)
  }
}

extension CheckpointOptions {
  fileprivate init(_ section: ConfigurationSection) {
    schedule.intervalSeconds = section.seconds(
      "interval", in: waits, default: schedule.intervalSeconds)
    schedule.everyBatches = section.optionalInt("every_batches", in: 1...Int.max)
    keep = section.int("keep", in: 1...1000, default: keep)
  }
}

extension ParametersOptions {
  fileprivate init(_ section: ConfigurationSection) {
    file = section.string("file")
    place = section.place(of: "file")
    watches = section.bool("watch", default: false)
  }
}

extension DeadLetterOptions {
  fileprivate init(_ section: ConfigurationSection) {
    maxBytes = section.bytes("max_size", in: 4 << 10...1 << 40, default: maxBytes)
    keep = section.int("keep", in: 0...1000, default: keep)
  }
}

extension RestartOptions {
  fileprivate init(_ section: ConfigurationSection) {
    initialSeconds = section.seconds("initial", in: waits, default: initialSeconds)
    maxSeconds = section.seconds("max", in: waits, default: maxSeconds)
    resetAfterSeconds = section.seconds("reset_after", in: waits, default: resetAfterSeconds)
    if maxSeconds < initialSeconds {
      section.report(
        section.contains("max") ? "max" : "initial", expected: "max to be at least initial",
        found: "less")
    }
  }
}
