internal import Configuration
internal import Glibc
internal import Records
internal import Storage

/// A property of librdkafka that a user sets.
struct KafkaProperty: Sendable, Equatable {
  /// The most bytes of a file with a value.
  private static let mostBytes = 64 << 10

  enum Value: Sendable, Equatable {
    case text(String)
    /// The first line of a file, or all of it for a PEM.
    case file(String)
  }

  let name: String
  private let content: Value

  /// - Parameter text: `name=value`, or `name:file=path`.
  init?(_ text: String) {
    guard let equals = text.firstIndex(of: "=") else { return nil }
    let key = text[..<equals]
    let value = String(text[text.index(after: equals)...])
    if key.hasSuffix(":file") {
      (name, content) = (String(key.dropLast(5)), .file(value))
    } else {
      (name, content) = (String(key), .text(value))
    }
  }

  var text: String {
    switch content {
    case .text(let value): "\(name)=\(value)"
    case .file(let path): "\(name):file=\(path)"
    }
  }

  /// The value that the configuration holds; nil if a file holds it.
  var written: String? { if case .text(let value) = content { value } else { nil } }

  /// The value. No message may show it.
  func value(in fileSystem: any FileSystem) throws(FileError) -> String {
    switch content {
    case .text(let value): return value
    case .file(let path):
      let bytes: [UInt8]
      do throws(StorageError) {
        bytes = try fileSystem.contents(of: path, limit: Self.mostBytes)
      } catch {
        if case .file(let error) = error { throw error }
        throw FileError(
          operation: .read, path: path,
          reason: "expected a file of at most \(Self.mostBytes) bytes", errno: EINVAL)
      }
      let end = name.hasSuffix(".pem") ? nil : bytes.firstIndex(of: 0x0A)
      return String(decoding: bytes[..<(end ?? bytes.endIndex)], as: UTF8.self)
    }
  }
}

/// The properties of librdkafka that a user may set. All others could change what Evenkeel promises, or run programs.
enum KafkaProperties {
  /// Of every client.
  static let common = [
    "broker.address.family", "broker.address.ttl", "client.id", "client.rack",
    "connections.max.idle.ms", "enable.ssl.certificate.verification", "metadata.max.age.ms",
    "reconnect.backoff.max.ms", "reconnect.backoff.ms", "sasl.kerberos.keytab",
    "sasl.kerberos.principal", "sasl.kerberos.service.name", "sasl.mechanism", "sasl.mechanisms",
    "sasl.password", "sasl.username", "security.protocol", "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable", "socket.nagle.disable", "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes", "socket.timeout.ms", "ssl.ca.location", "ssl.ca.pem",
    "ssl.certificate.location", "ssl.certificate.pem", "ssl.cipher.suites", "ssl.crl.location",
    "ssl.curves.list", "ssl.endpoint.identification.algorithm", "ssl.key.location",
    "ssl.key.password", "ssl.key.pem", "ssl.keystore.location", "ssl.keystore.password",
    "ssl.sigalgs.list", "topic.metadata.refresh.interval.ms",
  ]
  static let consumer = [
    "check.crcs", "fetch.error.backoff.ms", "fetch.max.bytes", "fetch.message.max.bytes",
    "fetch.min.bytes", "fetch.wait.max.ms", "group.instance.id", "heartbeat.interval.ms",
    "max.partition.fetch.bytes", "max.poll.interval.ms",
    "queued.max.messages.kbytes", "queued.min.messages", "receive.message.max.bytes",
    "session.timeout.ms",
  ]
  static let producer = [
    "batch.num.messages", "batch.size", "compression.codec", "compression.level",
    "compression.type", "linger.ms", "message.max.bytes", "message.timeout.ms",
    "partitioner", "queue.buffering.max.kbytes", "request.timeout.ms", "retry.backoff.ms",
    "sticky.partitioning.linger.ms",
  ]

  /// The properties of a client, as the value of a setting.
  static func type(_ own: [String]) -> SettingType<[KafkaProperty]> {
    let names = common + own
    return SettingType(
      expected: "properties of librdkafka, each a text or { file: PATH }", form: .mapping,
      text: { listText($0.map(\.text)) },
      list: { (texts) throws(SettingRefusal) in
        var properties: [KafkaProperty] = []
        for text in texts {
          guard let property = KafkaProperty(text) else {
            throw SettingRefusal(expected: "a name and a value", found: "another text")
          }
          guard names.contains(property.name) else {
            // Only the name: the value may be a secret.
            let near = nearestName(to: property.name, in: names)
            throw SettingRefusal(
              expected: "a property that may be set", found: "\(quoted(property.name))",
              hint: near.map { "did you mean '\($0)'?" })
          }
          if let value = property.written,
            KafkaClient.refusal(of: value, for: property.name) != nil
          {
            throw SettingRefusal(
              expected: "a value that \(property.name) can have", found: "another one")
          }
          properties.append(property)
        }
        return properties
      })
  }
}
