package import Configuration
internal import Connectors
package import Logging
package import Storage

/// The contents of a configuration file: the settings of the daemon, and its streams.
package struct DaemonConfiguration: Sendable {
  /// The directory of all checkpoints and dead letters, with one directory for each stream.
  package var stateDirectory: String
  package var control = ControlOptions()
  package var metrics = MetricsOptions()
  /// The longest time in which a stop drains the streams.
  package var shutdownTimeoutSeconds = 20.0
  package var log = LogOptions()
  /// Sorted by name.
  package var streams: [StreamDefinition]
  /// In the order of the file. The daemon ignores them.
  package var tests: [StreamTest]
  package let places: Places

  /// The positions of settings in the file.
  package struct Places: Sendable {
    let stateDirectory: ConfigurationPlace
    package let tokenFile: ConfigurationPlace
  }
}

/// The address and the token of the control plane.
package struct ControlOptions: Sendable, Equatable {
  package enum Address: Sendable, Equatable {
    /// `host` of an IPv6 address has no brackets.
    case tcp(host: String, port: Int)
    case unix(path: String)
  }

  /// Empty means that there is no control plane.
  package var listen = [Address.tcp(host: "127.0.0.1", port: 9600)]
  /// The file with the bearer token, without which changes over TCP are refused.
  package var tokenFile: String?

  package init() {}

  fileprivate init(_ values: SettingValues) {
    listen = values[DaemonSettings.listen]
    tokenFile = values[DaemonSettings.tokenFile]
  }
}

/// The settings of the metrics.
package struct MetricsOptions: Sendable, Equatable {
  /// Whether each feature has its own series; nil decides by the number of features.
  package var perFeature: Bool?

  package init() {}
}

/// The level and the format of the log.
package struct LogOptions: Sendable, Equatable {
  package var level = Logger.Level.info
  package var format = LogFormat.text

  package init() {}
}

/// The format of log messages.
package enum LogFormat: String, Sendable, CaseIterable {
  case text
  case json
}

/// The reason why a configuration cannot be used.
package enum DaemonConfigurationError: Error, CustomStringConvertible {
  case unreadable(StorageError)
  case wrong(ConfigurationFailure)

  /// One line for each error.
  package var description: String {
    switch self {
    case .unreadable(let error): "\(error)"
    case .wrong(let failure): "\(failure)"
    }
  }

  /// The exit code, of sysexits(3).
  package var exitCode: Int32 {
    switch self {
    // A restart does not help.
    case .unreadable(.notRegular), .unreadable(.tooLarge), .wrong: 78
    case .unreadable(let error): StreamError(error).exitCode
    }
  }
}

extension DaemonConfiguration {
  /// Reads a file and checks it. Opens no other files than the dictionaries that it names.
  ///
  /// - Parameters:
  ///   - catalogue: the formats, connectors and operators that streams can use.
  ///   - environment: returns the value of a variable, or nil if it is not set.
  package static func load(
    _ path: String, from catalogue: Catalogue = .builtIn,
    in fileSystem: any FileSystem = POSIXFileSystem(),
    environment: @escaping (String) -> String?
  ) throws(DaemonConfigurationError) -> DaemonConfiguration {
    try read(path, in: fileSystem, environment) {
      DaemonConfiguration($0, from: catalogue, in: fileSystem)
    }
  }

  /// Adds the tests of another file, which holds the section `tests` alone.
  package mutating func addTests(
    of path: String, in fileSystem: any FileSystem = POSIXFileSystem(),
    environment: @escaping (String) -> String?
  ) throws(DaemonConfigurationError) {
    let definitions = Dictionary(uniqueKeysWithValues: streams.map { ($0.name, $0 as Optional) })
    tests += try Self.read(path, in: fileSystem, environment) {
      StreamTest.all(in: $0, of: definitions)
    }
  }

  /// Reads and checks a file. `parse` returns nil if it has reported an error.
  private static func read<Value>(
    _ path: String, in fileSystem: any FileSystem, _ environment: @escaping (String) -> String?,
    as parse: (ConfigurationSection) -> Value?
  ) throws(DaemonConfigurationError) -> Value {
    let bytes: [UInt8]
    do {
      bytes = try fileSystem.contents(of: path, limit: ConfigurationDocument.greatestSize)
    } catch {
      throw .unreadable(error)
    }
    do {
      let document = try ConfigurationDocument(bytes, file: path, environment: environment)
      let value = parse(document.root)
      try document.check()
      guard let value else { preconditionFailure("no value, but no error was reported") }
      return value
    } catch {
      throw .wrong(error)
    }
  }

  /// Returns nil if something is wrong; the error is reported.
  private init?(
    _ root: ConfigurationSection, from catalogue: Catalogue, in fileSystem: any FileSystem
  ) {
    let values = root.values(of: DaemonSettings.group)
    var claims = ConnectorClaims()
    var definitions: [String: StreamDefinition?] = [:]
    if !root.contains("streams") {
      root.report("expected a mapping from names to streams, found nothing", at: "streams")
    }
    let sections = root.namedSections("streams")
    let state = (values?[DaemonSettings.stateDirectory]).map {
      StatePlaces($0, streams: Set(sections.map(\.0)), in: fileSystem)
    }
    if let reason = state?.unusable() { root.report(reason, at: DaemonSettings.stateDirectory) }
    for case .unix(let path) in values?[DaemonSettings.listen] ?? [] {
      guard let reason = state?.conflict(at: fileSystem.canonicalPath(path)) else { continue }
      root.report(reason, at: DaemonSettings.listen)
    }
    for (name, section) in sections {
      let definition = StreamDefinition(
        name: name, section, from: catalogue,
        stateDirectory: values?[DaemonSettings.stateDirectory] ?? "", claims: &claims,
        in: fileSystem)
      definitions.updateValue(definition, forKey: name)
      if let found = state.flatMap({ definition?.conflict(with: $0) }) {
        section.report(found.reason, at: found.setting)
      }
    }
    let tests = StreamTest.all(in: root, of: definitions)
    guard let values, let tests else { return nil }
    stateDirectory = values[DaemonSettings.stateDirectory]
    control = ControlOptions(values)
    metrics.perFeature = values[DaemonSettings.perFeature]
    shutdownTimeoutSeconds = values[DaemonSettings.shutdownTimeout]
    log.level = values[DaemonSettings.logLevel]
    log.format = values[DaemonSettings.logFormat]
    self.tests = tests
    streams = definitions.values.compactMap(\.self).sorted { $0.name < $1.name }
    guard streams.count == definitions.count else { return nil }
    places = Places(
      stateDirectory: root.place(of: DaemonSettings.stateDirectory),
      tokenFile: root.place(of: DaemonSettings.tokenFile))
  }
}

extension ControlOptions.Address: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port): (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }
  }

  /// Reads `host:port`, `[IPv6]:port` or `unix:PATH`.
  init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      // The longest path that fits into sun_path with its final zero.
      guard path.hasPrefix("/"), path.utf8.count <= 107 else { return nil }
      self = .unix(path: path)
    } else {
      guard let address = InternetAddress(text), address.port > 0,
        let colon = text.lastIndex(of: ":")
      else { return nil }
      let host = text[..<colon]
      self = .tcp(
        host: String(address.isIPv6 ? host.dropFirst().dropLast() : host), port: Int(address.port))
    }
  }

  /// Whether only this machine can reach it.
  var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp: InternetAddress(description)?.isLoopback ?? false
    }
  }
}
