package import Configuration
package import Logging

/// The settings of the daemon itself.
package enum DaemonSettings {
  package static let group = SettingGroup(
    "The daemon",
    [stateDirectory, listen, tokenFile, perFeature, shutdownTimeout, logLevel, logFormat])

  package static let stateDirectory = Setting(
    required: "state_directory", .path,
    help: "The directory of checkpoints and dead letters, with one directory for each stream.")

  package static let listen = Setting(
    "control.listen", listenType, default: ControlOptions().listen,
    help:
      "The address of the control plane: `host:port`, `[IPv6]:port` or `unix:PATH` with an "
      + "absolute path; a list of these; or `off`.")

  package static let tokenFile = Setting(
    "control.token_file", .path,
    help: "The file with the bearer token. Without it, changes and taps over TCP are refused.")

  package static let perFeature = Setting(
    "metrics.per_feature", .bool, defaultText: "by the number of features",
    help: "Whether metrics have series for each feature.")

  package static let shutdownTimeout = Setting(
    "shutdown_timeout", .seconds(in: 0...3600), default: 20,
    help: "The longest time for a stop to drain the streams.")

  package static let logLevel = Setting<Logger.Level>(
    "log.level", .choice, default: LogOptions().level,
    help: "The lowest level of messages to log.")

  package static let logFormat = Setting<LogFormat>(
    "log.format", .choice, default: LogOptions().format, option: .value("log-format", "name"),
    help: "The format of log messages.")

  /// The most addresses of one daemon.
  private static let mostAddresses = 8

  private static let listenType = SettingType<[ControlOptions.Address]>(
    expected:
      "host:port, unix:PATH with an absolute path, a list of up to \(mostAddresses) of them, or off",
    form: .list,
    text: { addresses in
      switch addresses.count {
      case 0: "off"
      case 1: "\(addresses[0])"
      default: listText(addresses.map { "\($0)" })
      }
    },
    list: { (texts) throws(SettingRefusal) in
      if texts == ["off"] { return [] }
      // The kernel holds the path of a socket in 108 bytes, the last of them 0.
      let paths = texts.filter { $0.hasPrefix("unix:") }.map { $0.dropFirst("unix:".count) }
      if let long = paths.first(where: { $0.utf8.count > 107 }) {
        throw SettingRefusal(
          expected: "a socket path of at most 107 bytes", found: "one of \(long.utf8.count)")
      }
      guard paths.allSatisfy({ $0.hasPrefix("/") }) else {
        throw SettingRefusal(expected: "an absolute path after 'unix:'", found: "a relative one")
      }
      let addresses = texts.compactMap { ControlOptions.Address($0) }
      if (2...mostAddresses).contains(texts.count),
        let index = texts.firstIndex(where: { ControlOptions.Address($0) == nil })
      {
        throw SettingRefusal(found: "a list whose item \(index + 1) is none of these")
      }
      guard addresses.count == texts.count, (1...mostAddresses).contains(addresses.count) else {
        throw SettingRefusal()
      }
      guard addresses.allSatisfy(\.isLocal) else {
        throw SettingRefusal(
          expected: "a loopback address (127.0.0.1, [::1]) or unix:PATH",
          found: "one that other machines can reach",
          hint: "a proxy with TLS can lead to it")
      }
      for (index, address) in addresses.enumerated() where addresses[..<index].contains(address) {
        throw SettingRefusal(hint: "name each address once")
      }
      return addresses
    })
}
