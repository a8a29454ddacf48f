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
    case off
  }

  package var listen = Address.tcp(host: "127.0.0.1", port: 9600)
  /// The file with the bearer token, without which changes over TCP are refused.
  package var tokenFile: String?

  package init() {}
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
  /// Reads a file, with all that it says checked that can be checked without opening anything else but
  /// the dictionaries that it names.
  ///
  /// - Parameter environment: gives the value of a variable, or nil where it is not set.
  package static func load(
    _ path: String, in fileSystem: any FileSystem = POSIXFileSystem(),
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
      let configuration = DaemonConfiguration(document.root, in: fileSystem)
      try document.check()
      return configuration
    } catch {
      throw .wrong(error)
    }
  }

  private init(_ root: ConfigurationSection, in fileSystem: any FileSystem) {
    stateDirectory = root.string("state_directory")
    let control = root.sectionOrDefaults("control")
    places = Places(
      stateDirectory: root.place(of: "state_directory"), tokenFile: control.place(of: "token_file"))
    self.control = ControlOptions(control)
    metrics.perFeature = root.sectionOrDefaults("metrics").optionalBool("per_feature")
    shutdownTimeoutSeconds = root.seconds(
      "shutdown_timeout", in: 0...3600, default: shutdownTimeoutSeconds)
    let log = root.sectionOrDefaults("log")
    self.log.level = log.choice("level", default: self.log.level)
    self.log.format = log.choice("format", default: self.log.format)
    var claims = ConnectorClaims()
    streams = []
    if !root.contains("streams") {
      _ = root.string("streams")
    }
    for (name, section) in root.namedSections("streams") {
      if let definition = StreamDefinition(
        name: name, section, stateDirectory: stateDirectory, claims: &claims, in: fileSystem)
      {
        streams.append(definition)
      }
    }
    streams.sort { $0.name < $1.name }
  }
}

extension ControlOptions {
  fileprivate init(_ section: ConfigurationSection) {
    if let text = section.optionalString("listen") {
      if let address = Address(text) {
        listen = address
      } else {
        section.report(
          "listen", expected: "host:port, unix:PATH with an absolute path, or off",
          found: "'\(text)'")
      }
    }
    tokenFile = section.optionalString("token_file")
  }
}

extension ControlOptions.Address {
  /// Reads `host:port`, `[IPv6]:port`, `unix:PATH` or `off`.
  init?(_ text: String) {
    if text == "off" {
      self = .off
    } else if text.hasPrefix("unix:") {
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
