package import Configuration
package import Connectors

/// One stream of the daemon: its settings, source and sink, checkpoints and restarts.
package struct StreamDefinition: Sendable {
  /// Also the name of its directory: letters, digits, `.`, `_` and `-`, no `.` first, at most 64.
  package var name: String
  package var stream: StreamConfiguration
  package var source: SourceDefinition
  package var sink: SinkDefinition
  package var checkpoint: CheckpointOptions
  package var parameters: ParametersOptions?
  package var deadLetters: DeadLetterOptions
  package var restart: RestartOptions
  /// Where the stream stands in the file.
  package var place: ConfigurationPlace
  /// The values of all settings, the same for two definitions if and only if they mean the same. It
  /// holds values of variables, so it must not be shown.
  package var fingerprint: [String]

  /// The stream's directory for checkpoints and dead letters.
  package func directory(in stateDirectory: String) -> String { stateDirectory + "/" + name }
}

/// The source that a stream reads.
package struct SourceDefinition: Sendable {
  package var kind: SourceKind
  let values: SettingValues
  package var open: SourceFactory
  package var location: ConnectorLocation
}

/// The sink that a stream writes to.
package struct SinkDefinition: Sendable {
  package var kind: SinkKind
  let values: SettingValues
  package var open: SinkFactory
  package var location: ConnectorLocation
}

/// When checkpoints are written, and how many stay.
package struct CheckpointOptions: Sendable, Equatable {
  package var schedule = CheckpointSchedule(intervalSeconds: 10)
  /// Generations.
  package var keep = 5
}

/// Where γ and β come from.
package struct ParametersOptions: Sendable, Equatable {
  package var file: String
  package var place: ConfigurationPlace
  /// Whether a new file is taken while the stream runs.
  package var watches: Bool
}

/// How bad records are kept.
package struct DeadLetterOptions: Sendable, Equatable {
  /// The most bytes of one file.
  package var maxBytes = 64 << 20
  /// How many full files stay.
  package var keep = 5
}

/// How long a stream that failed waits before it starts again.
package struct RestartOptions: Sendable, Equatable {
  package var initialSeconds = 0.5
  /// The pause doubles with each failure, up to this.
  package var maxSeconds = 60.0
  /// After running this long a stream has recovered: its next pause is the first one again.
  package var resetAfterSeconds = 60.0
}

/// The place of a connector, which two streams must not share.
package struct ConnectorLocation: Sendable {
  /// The path, the address, or the name that the service manager has for it, as operators see it.
  package var text: String?
  /// The path of a file or socket.
  package var path: String?
  /// A name that is the same for every spelling; nil if others may have the same place.
  package var claim: String?
  /// Whether the service manager opens it.
  package var isInherited: Bool
  package var place: ConfigurationPlace
  /// The setting that gives the place; nil for a stream of the process.
  let setting: (any SettingDescription)?
}

/// The places that are taken by the streams read so far.
struct ConnectorClaims {
  private var sources: [String: String] = [:]
  private var sinks: [String: String] = [:]

  /// - Returns: the stream that has the source already.
  mutating func takeSource(_ location: ConnectorLocation, for stream: String) -> String? {
    Self.take(location, for: stream, in: &sources)
  }

  /// - Returns: the stream that has the sink already.
  mutating func takeSink(_ location: ConnectorLocation, for stream: String) -> String? {
    Self.take(location, for: stream, in: &sinks)
  }

  private static func take(
    _ location: ConnectorLocation, for stream: String, in taken: inout [String: String]
  ) -> String? {
    guard let claim = location.claim else { return nil }
    if let holder = taken[claim] { return holder }
    taken[claim] = stream
    return nil
  }
}

extension ConnectorLocation {
  init(
    _ found: ConnectorPlace, of kind: String, in section: ConfigurationSection, isShareable: Bool
  ) {
    text = found.text
    path = found.kind == .path ? found.text : nil
    isInherited = found.kind == .systemd
    setting = found.setting
    place = found.setting.map { section.place(of: $0) } ?? section.place(of: nil)
    let name = found.text.map { text in
      "\(found.kind.rawValue):" + (found.kind == .path ? plainPath(text) : text)
    }
    claim = isShareable || found.isShareable ? nil : name ?? kind
  }
}

/// A path without `//`, `/./` and a `/` at the end, which mean nothing.
private func plainPath(_ path: String) -> String {
  let parts = path.split(separator: "/").filter { $0 != "." }
  return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
}
