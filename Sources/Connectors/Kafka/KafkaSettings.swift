package import Configuration
internal import Storage

/// The content of a message.
package enum KafkaPayload: String, Sendable, CaseIterable {
  /// A record, or an Arrow stream.
  case message
  /// Many records, which may be compressed.
  case frame
}

/// The promise of a sink about the messages of a stream from topic to topic.
package enum KafkaDelivery: String, Sendable, CaseIterable {
  /// Messages after the last state may be written again.
  case atLeastOnce = "at_least_once"
  /// Messages and state become visible together.
  case exactlyOnce = "exactly_once"
}

/// The action of the source if messages were removed before it read them.
enum KafkaGapAction: String, Sendable, CaseIterable {
  case fail
  case `continue`
}

/// The settings of a source of topics besides the connection.
struct KafkaSourceOptions: Sendable {
  /// Empty for all.
  var partitions: [Int] = []
  /// The group that divides the partitions between its members; nil for none.
  var group: String?
  var start = KafkaStart.earliest
  var payload = KafkaPayload.message
  var onGap = KafkaGapAction.fail
  /// Whether the source ends: at the offset `end`, or at the messages that are there when it is opened.
  var ends = false
  var end: Int?
}

extension SourceKind {
  /// A topic of Kafka.
  package static let kafka = SourceKind(
    name: "kafka", isLive: true, splits: .partitions, settings: KafkaSettings.source,
    isShareable: true,
    // The event, and for each of three brokers and the first contact a connection and a pipe.
    descriptorCount: 13, threadCount: 6,
    locate: { location, _ in
      guard location.hasPrefix(KafkaLocation.scheme) else { return nil }
      return { context throws(FileError) in
        let found = try KafkaLocation(location)
        return try KafkaSource(
          try KafkaConsumer(found.connection, tellsEnds: true, in: context.connector),
          topic: found.connection.topic, found.options, in: context)
      }
    },
    place: { KafkaSettings.place($0) },
    open: { values in
      let connection = KafkaSettings.connection(values, KafkaSettings.sourceProperties)
      let options = KafkaSettings.options(values)
      return { context throws(FileError) in
        try KafkaSource(
          try KafkaConsumer(connection, in: context.connector), topic: connection.topic, options,
          in: context)
      }
    })
}

extension SinkKind {
  /// A topic of Kafka.
  package static let kafka = SinkKind(
    name: "kafka", settings: KafkaSettings.sink, descriptorCount: 13, threadCount: 6,
    isCompressed: { _ in false },
    place: { KafkaSettings.place($0) },
    open: { values in
      let connection = KafkaSettings.connection(values, KafkaSettings.sinkProperties)
      let payload = values[KafkaSettings.payload]
      return { context throws(FileError) in
        let producer = try KafkaProducer(connection, in: context)
        if payload == .message, let needed = context.sourcePartitions {
          try producer.require(partitions: needed)
        }
        return KafkaSink(
          producer, topic: connection.topic, payload, ends: context.recordEnds)
      }
    })
}

/// The settings of a topic.
package enum KafkaSettings {
  static let source = SettingGroup(
    "kafka", [brokers, topic, partitions, group, start, payload, onGap, sourceProperties],
    rules: [.never([partitions], beside: group)])
  static let sink = SettingGroup("kafka", [brokers, topic, payload, delivery, sinkProperties])

  package static let brokers = Setting(
    required: "brokers", .brokers, help: "Addresses of brokers; a few of them are enough.")
  package static let topic = Setting(required: "topic", .topic, help: "The name of the topic.")
  package static let payload = Setting<KafkaPayload>(
    "payload", .choice, default: .message,
    help:
      "What a message holds: `message` is one record, or an Arrow stream; `frame` is many records.")
  package static let delivery = Setting<KafkaDelivery>(
    "delivery", .choice, default: .atLeastOnce,
    help:
      "The promise for each record: `at_least_once`, or `exactly_once` by transactions, for readers with "
      + "`isolation.level=read_committed`. The latter needs [`state.topic`](KAFKA.md#exactly-once)."
  )
  static let partitions = Setting(
    "partitions", .partitions, default: [], defaultText: "all",
    help: "The partitions to read, such as `[0, 1]`.")
  package static let group = Setting(
    "group", .text(called: "the name of a consumer group"), defaultText: "none",
    help:
      "The consumer group whose members divide the partitions between them. It needs "
      + "[`state.topic`](KAFKA.md#groups).")
  static let start = Setting(
    "start", .kafkaStart, default: .earliest,
    help:
      "Where a partition begins that no checkpoint knows: `earliest`, `latest`, or a time such as "
      + "`2026-11-01T06:30:00Z`.")
  static let onGap = Setting<KafkaGapAction>(
    "on_gap", .choice, default: .fail,
    help:
      "The action if messages were removed before they were read: `fail`, or `continue` after them."
  )
  static let sourceProperties = Setting(
    "properties", KafkaProperties.type(KafkaProperties.consumer), default: [], defaultText: "none",
    help: "Properties of librdkafka, such as `security.protocol`; [KAFKA.md](KAFKA.md) lists them.")
  static let sinkProperties = Setting(
    "properties", KafkaProperties.type(KafkaProperties.producer), default: [], defaultText: "none",
    help: "Properties of librdkafka, such as `linger.ms`; [KAFKA.md](KAFKA.md) lists them.")

  // MARK: Dead letters

  package static let letterTopic = Setting(
    "dead_letters.kafka.topic", SettingType<String>.topic, defaultText: "a file",
    help:
      "The topic of dead letters: the bytes of each bad record with its key, timestamp and headers, and the reason."
  )
  package static let letterBrokers = Setting(
    "dead_letters.kafka.brokers", SettingType<[String]>.brokers,
    help: "Addresses of its brokers.")
  private static let letterProperties = Setting(
    "dead_letters.kafka.properties", KafkaProperties.type(KafkaProperties.producer), default: [],
    defaultText: "none", help: "Properties of librdkafka, as the sink has them.")

  /// The settings of dead letters in a topic.
  package static let letters: [any SettingDescription] = [
    letterTopic, letterBrokers, letterProperties,
  ]
  /// The descriptors and the threads of librdkafka for them.
  package static let letterDescriptors = 13
  package static let letterThreads = 6

  /// The topic of dead letters, as the locations of sources and sinks are told; nil if the values have none.
  package static func letterPlace(_ values: SettingValues) -> String? {
    guard let topic = values[letterTopic] else { return nil }
    return placeText(values[letterBrokers] ?? [], topic)
  }

  /// Whether the producer of a sink can write dead letters: it has their brokers, and no other properties.
  package static func areLetters(_ values: SettingValues, of sink: SettingValues) -> Bool {
    guard values[letterTopic] != nil else { return true }
    let properties = values[letterProperties]
    return values[letterBrokers]?.sorted() == sink[brokers].sorted()
      && (properties.isEmpty || properties == sink[sinkProperties])
  }

  /// Opens the topic of dead letters; nil if the values have none.
  package static func openLetters(_ values: SettingValues) -> LetterFactory? {
    guard let topic = values[letterTopic], let brokers = values[letterBrokers] else { return nil }
    let connection = KafkaConnection(
      brokers: brokers, topic: topic, properties: values[letterProperties])
    return { context throws(FileError) in
      let producer = try KafkaProducer(connection, in: context)
      if let needed = context.sourcePartitions { try producer.require(partitions: needed) }
      return KafkaSink(producer, topic: topic, .message, ends: nil)
    }
  }

  fileprivate static func connection(
    _ values: SettingValues, _ properties: Setting<[KafkaProperty]>
  ) -> KafkaConnection {
    KafkaConnection(
      brokers: values[brokers], topic: values[topic], properties: values[properties])
  }

  fileprivate static func options(_ values: SettingValues) -> KafkaSourceOptions {
    KafkaSourceOptions(
      partitions: values[partitions], group: values[group], start: values[start],
      payload: values[payload], onGap: values[onGap])
  }

  fileprivate static func place(_ values: SettingValues) -> ConnectorPlace {
    ConnectorPlace(
      kind: .topic, text: placeText(values[brokers], values[topic]), setting: topic,
      isShareable: true)
  }

  private static func placeText(_ brokers: [String], _ topic: String) -> String {
    "\(brokers.sorted().joined(separator: ","))/\(topic)"
  }
}

extension PartitionedTopic {
  /// - Parameters:
  ///   - values: those of a source `kafka`. The state topic is on its brokers.
  ///   - sink: those of a sink `kafka`.
  ///   - state: the name of the state topic.
  ///   - stream: the name of the stream.
  ///   - epochSeconds: the longest time between two states.
  package init(
    _ values: SettingValues, _ sink: SettingValues, state topic: String, creates: Bool,
    of stream: String, epochSeconds: Double
  ) {
    source = KafkaSettings.connection(values, KafkaSettings.sourceProperties)
    options = KafkaSettings.options(values)
    state = KafkaConnection(brokers: source.brokers, topic: topic, properties: source.properties)
    self.creates = creates
    guard sink[KafkaSettings.delivery] == .exactlyOnce else { return }
    var connection = KafkaSettings.connection(sink, KafkaSettings.sinkProperties)
    connection.topic = topic
    transactions = KafkaTransactions.Settings(
      connection, name: stream, epochSeconds: epochSeconds)
  }
}

extension SettingType<[String]> {
  /// `HOST:PORT`, several of them.
  static let brokers = SettingType(
    expected: "addresses of brokers such as [kafka-1:9092]", form: .list, text: { listText($0) },
    list: { (texts) throws(SettingRefusal) in
      guard !texts.isEmpty else { throw SettingRefusal(found: "none") }
      for text in texts {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = text.lastIndex(of: ":"), host > text.startIndex,
          let port = parts.last.flatMap({ Int($0) }), (1...65535).contains(port),
          !text.contains(where: { $0 == "," || $0 == "/" || $0.isWhitespace })
        else { throw SettingRefusal(found: "another text") }
      }
      return texts
    })
}

extension SettingType<String> {
  /// The name of a topic, as Kafka allows it.
  package static let topic = SettingType(
    expected: "a name of at most 249 letters, digits, '.', '_' and '-'", text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      let isName =
        (1...249).contains(text.utf8.count) && text != "." && text != ".."
        && text.utf8.allSatisfy { byte in
          (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || "._-".utf8.contains(byte)
        }
      guard isName else { throw SettingRefusal() }
      return text
    })
}

extension SettingType<[Int]> {
  /// Numbers of partitions, each once.
  fileprivate static let partitions = SettingType(
    expected: "numbers of partitions such as [0, 1]", form: .list,
    text: { listText($0.map(String.init)) },
    list: { (texts) throws(SettingRefusal) in
      var numbers: [Int] = []
      for text in texts {
        guard let number = Int(text), (0..<100_000).contains(number), !numbers.contains(number)
        else { throw SettingRefusal() }
        numbers.append(number)
      }
      guard !numbers.isEmpty else { throw SettingRefusal(found: "none") }
      return numbers
    })
}

extension SettingType<KafkaStart> {
  fileprivate static let kafkaStart = SettingType(
    expected: "earliest, latest, or a time such as 2026-11-01T06:30:00Z", text: { $0.text },
    parse: { (text) throws(SettingRefusal) in
      guard let start = KafkaStart(text) else { throw SettingRefusal() }
      return start
    })
}
