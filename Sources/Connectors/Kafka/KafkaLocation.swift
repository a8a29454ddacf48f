internal import Configuration
internal import Glibc
internal import Storage

/// A topic as the input of a command, which ends at the last message that is there: `kafka://BROKERS/TOPIC`,
/// `kafka://BROKERS/TOPIC/PARTITION` or `kafka://BROKERS/TOPIC/PARTITION/FROM-TO`, without the message at TO.
struct KafkaLocation: Sendable {
  static let scheme = "kafka://"

  var connection: KafkaConnection
  var options = KafkaSourceOptions(ends: true)

  /// - Throws: EINVAL for a location of another form.
  init(_ text: String) throws(FileError) {
    let parts = text.dropFirst(Self.scheme.count).split(
      separator: "/", omittingEmptySubsequences: false
    ).map(String.init)
    guard (2...4).contains(parts.count),
      let brokers = try? SettingType<[String]>.brokers.parse(
        parts[0].split(separator: ",").map(String.init)),
      let topic = try? SettingType<String>.topic.parse([parts[1]])
    else { throw Self.refused(text) }
    connection = KafkaConnection(brokers: brokers, topic: topic, properties: [])
    guard parts.count > 2 else { return }
    guard let partition = Int(parts[2]), partition >= 0 else { throw Self.refused(text) }
    options.partitions = [partition]
    guard parts.count > 3 else { return }
    let offsets = parts[3].split(separator: "-").compactMap { Int($0) }
    guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1],
      parts[3] == "\(offsets[0])-\(offsets[1])"
    else { throw Self.refused(text) }
    (options.start, options.end) = (.offset(offsets[0]), offsets[1])
  }

  private static func refused(_ text: String) -> FileError {
    FileError(
      operation: .open, path: text,
      reason: "expected kafka://HOST:PORT/TOPIC, or with /PARTITION or /PARTITION/FROM-TO after it",
      errno: EINVAL)
  }
}
