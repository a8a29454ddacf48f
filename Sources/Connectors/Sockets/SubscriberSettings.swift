internal import Configuration

/// The settings of a sink with many subscribers.
struct SubscriberSettings: Sendable {
  /// The action if a subscriber does not read as fast as the stream writes.
  enum WhenFull: String, Sendable, CaseIterable {
    /// The stream waits for the subscriber. Without any subscriber, it waits for one.
    case block
    /// The oldest whole writes that wait for the subscriber are dropped. Without any subscriber, all writes are
    /// dropped.
    case dropOldest = "drop_oldest"
  }

  var whenFull = WhenFull.block
  /// With `dropOldest`: how many bytes may wait for a subscriber after the current write.
  var queueByteLimit = 4 << 20
  /// With `block`: a subscriber that takes nothing for so many seconds is disconnected.
  var blockTimeoutSeconds = 300.0
  /// The most subscribers at once. More are refused.
  var limit = 200

  init() {}

  init(_ values: SettingValues) {
    whenFull = values[Self.whenFull]
    queueByteLimit = values[Self.queue]
    blockTimeoutSeconds = values[Self.blockTimeout]
    limit = values[Self.maxSubscribers]
  }

  /// The settings of every such sink, except `connect`.
  static let settings: [any SettingDescription] = [
    whenFull, queue, blockTimeout, maxSubscribers,
  ]
  static let rules: [SettingRule] = [
    .only([queue], when: whenFull, is: .dropOldest),
    .only([blockTimeout], when: whenFull, is: .block),
    .never([maxSubscribers], beside: connect, is: true),
  ]

  static let connect = Setting(
    "connect", .bool, default: false,
    help: "Connect instead of listening, and connect again when the connection is lost.")
  private static let whenFull = Setting<WhenFull>(
    "when_full", .choice, default: SubscriberSettings().whenFull,
    help:
      "The action for a slow subscriber: `block` slows the stream down; `drop_oldest` drops the "
      + "oldest whole writes for it, and counts them.")
  private static let queue = Setting(
    "queue", .size(in: 4 << 10...1 << 30), default: SubscriberSettings().queueByteLimit,
    help: "With `drop_oldest`: how many bytes may wait for a subscriber.")
  private static let blockTimeout = Setting(
    "block_timeout", .seconds(in: 1...366 * 86400),
    default: SubscriberSettings().blockTimeoutSeconds,
    help: "With `block`: a subscriber that takes nothing for this long is disconnected.")
  private static let maxSubscribers = Setting(
    "max_subscribers", .integer(in: 1...100_000), default: SubscriberSettings().limit,
    help: "The most subscribers at once; more are refused.")
}
