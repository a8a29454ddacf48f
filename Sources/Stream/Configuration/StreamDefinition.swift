package import Configuration
package import Connectors
internal import Operators
internal import Storage

/// One stream of the daemon: its settings, source and sink, checkpoints and restarts.
package struct StreamDefinition: Sendable {
  /// Also the name of its directory: at most 64 letters, digits, `.`, `_` and `-`; the first is not `.`.
  package var name: String
  package var stream: StreamConfiguration
  package var source: SourceDefinition
  package var sink: SinkDefinition
  /// The source of gradients that a section of settings describes; nil if there is none, or only a path.
  package var gradients: SourceDefinition?
  package var checkpoint: CheckpointOptions
  /// The partitions of the source, if each is processed by itself and keeps its state in a topic.
  package var partitions: PartitionedTopic?
  /// How much newer, in seconds, the moments of other partitions may be; nil if each is normalised by its own alone.
  package var viewAheadSeconds: Double?
  package var parameters: ParametersOptions?
  package var deadLetters: DeadLetterOptions
  /// Opens the topic of dead letters; nil if they go to a file, or if there are none.
  package var letterTopic: LetterFactory?
  package var restart: RestartOptions
  /// The position of the stream in the file.
  package var place: ConfigurationPlace
  /// The values of all settings. Two definitions with the same meaning have the same fingerprint, and no others. It
  /// contains values of variables, so it must not be shown.
  package var fingerprint: [String]

  /// The descriptors that the stream holds at least, with one connection in each direction.
  package var descriptorCount: Int {
    // The process has a socket of the service manager open before the stream.
    let inherited = (source.location.isInherited ? 1 : 0) + (sink.location.isInherited ? 1 : 0)
    let keepsLetters = stream.badRecords == .deadLetter
    let letters = letterTopic != nil ? KafkaSettings.letterDescriptors : keepsLetters ? 1 : 0
    // The watch, and the file that is read.
    let ofPath = stream.operatorSettings[LearnSettings.gradients] == nil ? 0 : 2
    let gradients = gradients?.kind.descriptorCount ?? ofPath
    // And the one that waits for records and gradients at once.
    let both = gradients == 0 ? 0 : 1
    let ofRun = source.kind.descriptorCount + sink.kind.descriptorCount + letters
    guard let partitions else { return ofRun + gradients + both - inherited }
    return partitions.leastPartitions * (ofRun + PartitionedTopic.descriptorCount)
      + PartitionedTopic.tailDescriptorCount + gradients + both
  }

  /// The threads that libraries start for the stream, with a few brokers.
  package var threadCount: Int {
    let letters = letterTopic == nil ? 0 : KafkaSettings.letterThreads
    let ofRun = source.kind.threadCount + sink.kind.threadCount + letters
    let ofGradients = gradients?.kind.threadCount ?? 0
    guard let partitions else { return ofRun + ofGradients }
    return partitions.leastPartitions * (ofRun + PartitionedTopic.threadCount)
      + PartitionedTopic.tailThreadCount + ofGradients
  }

  /// Whether opening the stream waits for other machines. It must not keep other streams from their checkpoints.
  package var waitsForBrokers: Bool { threadCount > 0 }

  /// The stream's directory for checkpoints and dead letters.
  package func directory(in stateDirectory: String) -> String { stateDirectory + "/" + name }

  /// The directory for the dead letters of a partition.
  package func directory(of partition: Int, in stateDirectory: String) -> String {
    "\(directory(in: stateDirectory))/\(partition)"
  }
}

/// The source or the sink of a stream: its kind, the values of its settings, and its place.
package struct ConnectorDefinition<Kind: ConnectorKind>: Sendable {
  package var kind: Kind
  let values: SettingValues
  package var open: Kind.Factory
  package var location: ConnectorLocation
  /// The sources of a sequence, in its order; empty for another connector.
  package var parts: [ConnectorDefinition] = []

  /// The locations of all parts, or that of the connector itself.
  package var locations: [ConnectorLocation] {
    parts.isEmpty ? [location] : parts.map(\.location)
  }
}

package typealias SourceDefinition = ConnectorDefinition<SourceKind>
package typealias SinkDefinition = ConnectorDefinition<SinkKind>

/// The schedule of checkpoints, and how many are kept.
package struct CheckpointOptions: Sendable, Equatable {
  package var schedule = CheckpointSchedule(intervalSeconds: 10)
  /// How many generations are kept.
  package var keep = 5
}

/// The file with γ and β.
package struct ParametersOptions: Sendable, Equatable {
  package var file: String
  package var place: ConfigurationPlace
  /// Whether the stream reads the file again when it changes.
  package var watches: Bool
}

/// The limits of the dead letters.
package struct DeadLetterOptions: Sendable, Equatable {
  /// The greatest size of one file, in bytes.
  package var maxBytes = 64 << 20
  /// How many full files are kept.
  package var keep = 5
}

/// The pauses before a failed stream starts again.
package struct RestartOptions: Sendable, Equatable {
  package var initialSeconds = 0.5
  /// The pause doubles with each failure, up to this value.
  package var maxSeconds = 60.0
  /// After a run of this length, the next pause is the initial one again.
  package var resetAfterSeconds = 60.0
}

/// The location of a connector. Two streams must not share it.
package struct ConnectorLocation: Sendable {
  /// The path, the address, or the name of a socket of the service manager, for operators.
  package var text: String?
  /// The path of a file or socket.
  package var path: String?
  /// The same for every spelling of `path`.
  var canonicalPath: String?
  /// A name that is the same for every spelling of the location; nil if several connectors may share it.
  package var claim: String?
  /// Whether the service manager opened it.
  package var isInherited: Bool
  package var place: ConfigurationPlace
  /// The setting with the location; nil for a standard stream of the process.
  let setting: (any SettingDescription)?
}

/// The locations of the streams read so far.
struct ConnectorClaims {
  private var holders: [String: String] = [:]

  /// - Parameter role: the part that the connector plays: one stream may write to the place that another one
  ///   reads.
  /// - Returns: the stream that has the place already.
  mutating func take(
    _ location: ConnectorLocation, as role: ConnectorRole, for stream: String
  ) -> String? {
    guard let claim = location.claim.map({ "\(role.rawValue) \($0)" }) else { return nil }
    if let holder = holders[claim] { return holder }
    holders[claim] = stream
    return nil
  }
}

extension ConnectorLocation {
  init(
    _ found: ConnectorPlace, of kind: String, in section: ConfigurationSection, isShareable: Bool,
    on fileSystem: any FileSystem
  ) {
    text = found.text
    path = found.kind == .path ? found.text : nil
    canonicalPath = path.map { fileSystem.canonicalPath($0) }
    isInherited = found.kind == .systemd
    setting = found.setting
    place = found.setting.map { section.place(of: $0) } ?? section.place(of: nil)
    let name = (canonicalPath ?? found.text).map { "\(found.kind.rawValue):\($0)" }
    // Several streams may throw their records away.
    let isNull = canonicalPath == "/dev/null"
    claim = isShareable || found.isShareable || isNull ? nil : name ?? kind
  }
}
