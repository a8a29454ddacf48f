package import Configuration
package import Logging
package import Storage

/// Everything that a configuration file says: what the daemon does, and the streams that it runs.
package struct DaemonConfiguration: Sendable {
  /// Checkpoints and dead letters live under it, one directory a stream.
  package var stateDirectory: String
  package var control = ControlOptions()
  package var metrics = MetricsOptions()
  /// How long a stop may take to drain the streams.
  package var shutdownTimeoutSeconds = 20.0
  package var log = LogOptions()
  /// By name.
  package var streams: [StreamDefinition]
  let places: Places

  /// Where things stand in the file.
  struct Places: Sendable {
    let stateDirectory: ConfigurationPlace
    let tokenFile: ConfigurationPlace
  }
}

/// Where the control plane listens.
package struct ControlOptions: Sendable, Equatable {
  package enum Address: Sendable, Equatable {
    /// An IPv6 address stands without its brackets.
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

/// What metrics tell.
package struct MetricsOptions: Sendable, Equatable {
  /// Whether there are series for each feature; nil leaves it to the number of features.
  package var perFeature: Bool?

  package init() {}
}

/// What is logged, and how.
package struct LogOptions: Sendable, Equatable {
  package var level = Logger.Level.info
  package var format = LogFormat.text

  package init() {}
}

/// How messages are written.
package enum LogFormat: String, Sendable, CaseIterable {
  case text
  case json
}

/// Why there is no configuration.
package enum DaemonConfigurationError: Error, CustomStringConvertible {
  case unreadable(StorageError)
  case wrong(ConfigurationFailure)

  /// One line an error.
  package var description: String {
    switch self {
    case .unreadable(let error): "\(error)"
    case .wrong(let failure): "\(failure)"
    }
  }

  /// The code of sysexits(3) that tells a script what went wrong.
  package var exitCode: Int32 {
    switch self {
    // A restart cannot mend these.
    case .unreadable(.notRegular), .unreadable(.tooLarge), .wrong: 78
    case .unreadable(let error): StreamError(error).exitCode
    }
  }
}

extension DaemonConfiguration {
  /// Reads a file and checks everything in it that can be checked without opening another file than
  /// the dictionaries that it names.
  ///
  /// - Parameters:
  ///   - catalogue: what streams can be made of.
  ///   - environment: gives the value of a variable, or nil if it is not set.
  package static func load(
    _ path: String, from catalogue: Catalogue = .builtIn,
    in fileSystem: any FileSystem = POSIXFileSystem(),
    environment: @escaping (String) -> String?
  ) throws(DaemonConfigurationError) -> DaemonConfiguration {
    let bytes: [UInt8]
    do {
      bytes = try fileSystem.contents(of: path, limit: ConfigurationDocument.greatestSize)
    } catch {
      throw .unreadable(error)
    }
    do {
      let document = try ConfigurationDocument(bytes, file: path, environment: environment)
      let configuration = DaemonConfiguration(document.root, from: catalogue, in: fileSystem)
      try document.check()
      guard let configuration else { preconditionFailure("what is wrong was reported") }
      return configuration
    } catch {
      throw .wrong(error)
    }
  }

  /// Nil if something is wrong, which is reported.
  private init?(
    _ root: ConfigurationSection, from catalogue: Catalogue, in fileSystem: any FileSystem
  ) {
    let values = root.values(of: DaemonSettings.group)
    var claims = ConnectorClaims()
    var definitions: [StreamDefinition?] = []
    if !root.contains("streams") {
      root.report("expected a mapping from names to streams, found nothing", at: "streams")
    }
    for (name, section) in root.namedSections("streams") {
      definitions.append(
        StreamDefinition(
          name: name, section, from: catalogue,
          stateDirectory: values?[DaemonSettings.stateDirectory] ?? "", claims: &claims,
          in: fileSystem))
    }
    guard let values else { return nil }
    stateDirectory = values[DaemonSettings.stateDirectory]
    control = ControlOptions(values)
    metrics.perFeature = values[DaemonSettings.perFeature]
    shutdownTimeoutSeconds = values[DaemonSettings.shutdownTimeout]
    log.level = values[DaemonSettings.logLevel]
    log.format = values[DaemonSettings.logFormat]
    streams = definitions.compactMap(\.self).sorted { $0.name < $1.name }
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
      // The longest that sun_path holds, with its end.
      guard path.hasPrefix("/"), path.utf8.count <= 107 else { return nil }
      self = .unix(path: path)
    } else {
      guard let colon = text.lastIndex(of: ":") else { return nil }
      let digits = text[text.index(after: colon)...]
      guard let port = Int(digits), (1...65_535).contains(port), digits.first != "+" else {
        return nil
      }
      var host = text[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") {
        host = host.dropFirst().dropLast()
      } else if host.contains(":") {
        return nil
      }
      guard !host.isEmpty else { return nil }
      self = .tcp(host: String(host), port: port)
    }
  }
}
