package import Configuration
internal import Records

/// The location of a connector, by its settings. Operators see it, and two streams must not share it.
package struct ConnectorPlace: Sendable {
  package enum Kind: String, Sendable {
    /// A file or socket.
    case path
    case address
    /// A socket that the service manager opened, by its name.
    case systemd
    /// A topic of Kafka.
    case topic
    /// A standard stream of the process.
    case process
  }

  package let kind: Kind
  /// The path, the address or the name; nil for a standard stream.
  package let text: String?
  /// The setting that gives the location.
  package let setting: (any SettingDescription)?
  /// Whether several connectors may have the same location.
  package let isShareable: Bool

  /// A standard stream of the process.
  package static let process = ConnectorPlace(
    kind: .process, text: nil, setting: nil, isShareable: false)

  package static func path(_ setting: Setting<String>, in values: SettingValues) -> ConnectorPlace {
    ConnectorPlace(kind: .path, text: values[setting], setting: setting, isShareable: false)
  }

  /// The location of a socket: its own path or address, or the name of a socket of the service manager.
  static func socket(
    _ setting: Setting<String?>, _ kind: Kind, or systemd: Setting<String?>,
    in values: SettingValues, isShareable: Bool = false
  ) -> ConnectorPlace {
    if let name = values[systemd] {
      return ConnectorPlace(
        kind: .systemd, text: name, setting: systemd, isShareable: isShareable)
    }
    return ConnectorPlace(
      kind: kind, text: values[setting], setting: setting, isShareable: isShareable)
  }
}

extension SettingType<String> {
  /// The path of a Unix socket. The kernel keeps it in 108 bytes, with a 0 at the end.
  static let socketPath = SettingType(
    expected: "a path of at most 107 bytes", text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      let path = try SettingType.path.parse([text])
      guard path.utf8.count <= 107 else {
        throw SettingRefusal(found: "one of \(path.utf8.count)")
      }
      return path
    })

  /// `HOST:PORT`.
  static let address = SettingType(
    expected: InternetAddress.expected, text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      guard InternetAddress(text) != nil else { throw SettingRefusal() }
      return text
    })
}

/// The names of files that are written.
package enum OutputName {
  /// Extensions of files that Evenkeel does not write.
  private static let compressed = ["gz", "tgz", "lz4", "xz", "bz2", "zip", "br"]
  private static let other = ["parquet", "npy", "npz", "xlsx", "h5"]

  /// Whether a file of this name is compressed with zstd.
  package static func isCompressed(_ path: String) -> Bool { path.lowercased().hasSuffix(".zst") }

  /// Refuses a name that would tell something else of the file than it holds.
  package static func check(_ path: String) throws(SettingRefusal) {
    let name = path.lowercased()
    if let found = compressed.first(where: { name.hasSuffix("." + $0) }) {
      throw SettingRefusal(
        expected: "a name that ends in .zst for compressed output, or in that of the format",
        hint: "zstd is the only compression that is written; for .\(found), pipe the output "
          + "through another program")
    }
    if other.contains(where: { name.hasSuffix("." + $0) }) {
      throw SettingRefusal(
        expected: "the name of a file of CSV, NDJSON, Arrow or raw floats",
        hint: "convert the output afterwards")
    }
  }
}

extension SettingType<String> {
  /// The path of an output, as a type reads it, with a name that tells what the file holds.
  package static func output(_ type: SettingType<String>) -> SettingType<String> {
    SettingType(
      expected: type.expected, text: { $0 },
      parse: { (text) throws(SettingRefusal) in
        let path = try type.parse([text])
        try OutputName.check(path)
        return path
      })
  }
}

extension SettingType<UInt32> {
  /// Permission bits in octal digits.
  static let permissions = SettingType(
    expected: "permissions in octal digits, such as \"0660\"",
    text: { (bits) in
      let digits = String(bits, radix: 8)
      return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    },
    parse: { (text) throws(SettingRefusal) in
      guard !text.hasPrefix("+"), let bits = UInt32(text, radix: 8), bits <= 0o777 else {
        throw SettingRefusal()
      }
      return bits
    })
}

extension SettingType<Glob> {
  /// A pattern of file names.
  static let glob = SettingType(
    expected: "a pattern", text: { $0.text },
    parse: { (text) throws(SettingRefusal) in
      guard !text.isEmpty else { throw SettingRefusal() }
      return Glob(text)
    })
}

extension SettingRule {
  /// Requires exactly one of two settings.
  static func oneOf(
    _ first: any SettingDescription, _ second: any SettingDescription
  ) -> SettingRule {
    SettingRule { values in
      switch (values.isGiven(first), values.isGiven(second)) {
      case (true, true):
        let names = "one of \(first.key ?? "") and \(second.key ?? "")"
        return [SettingViolation(second, expected: .value(names), found: "both")]
      case (false, false):
        return [SettingViolation(first, expected: .value(first.expected), found: "nothing")]
      default: return []
      }
    }
  }

  /// Refuses settings that have no meaning if another one is given, whatever its value is.
  static func never(
    _ settings: [any SettingDescription], beside other: any SettingDescription
  ) -> SettingRule {
    SettingRule { values in
      guard values.isGiven(other) else { return [] }
      return settings.filter(values.isGiven).map { setting in
        let names = "no \(setting.key ?? "") beside \(other.key ?? "")"
        return SettingViolation(setting, expected: .value(names), found: "both")
      }
    }
  }

  /// Refuses an address that other machines can reach, unless that is allowed.
  static func loopback(
    _ address: Setting<String?>, unless isAllowed: @escaping @Sendable (SettingValues) -> Bool
  ) -> SettingRule {
    SettingRule { values in
      guard !isAllowed(values), let text = values[address],
        InternetAddress(text)?.isLoopback == false
      else { return [] }
      return [
        SettingViolation(
          address,
          expected: .value("a loopback address (127.0.0.1, [::1]), or allow_remote: true"),
          found: "'\(text)'")
      ]
    }
  }
}
