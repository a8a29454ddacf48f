internal import Configuration

/// How a sink with many readers treats them.
struct SubscriberSettings: Sendable {
  /// What happens when a subscriber does not read as fast as the stream runs.
  enum WhenFull: String, Sendable, CaseIterable {
    /// The stream waits for it; without a subscriber, for one to come.
    case block
    /// It loses the oldest whole writes that wait for it; without a subscriber, writes go nowhere.
    case dropOldest = "drop_oldest"
  }

  var whenFull = WhenFull.block
  /// How much may wait for a subscriber behind the write under way, in bytes, when the oldest give way.
  var queueByteLimit = 4 << 20
  /// How many subscribers there may be at once; more are turned away.
  var limit = 200

  init() {}

  init(_ values: SettingValues) {
    whenFull = values[Self.whenFull]
    queueByteLimit = values[Self.queue]
    limit = values[Self.maxSubscribers]
  }

  /// The settings that every such sink has, `connect` aside.
  static let settings: [any SettingDescription] = [whenFull, queue, maxSubscribers]
  static let rules: [SettingRule] = [
    .only([queue], when: whenFull, is: .dropOldest),
    .never([maxSubscribers], beside: connect, is: true),
  ]

  static let connect = Setting(
    "connect", .bool, default: false,
    help: "Connect, and again whenever the connection is lost, instead of listening.")
  private static let whenFull = Setting<WhenFull>(
    "when_full", .choice, default: SubscriberSettings().whenFull,
    help:
      "A subscriber that does not read: `block` slows the stream down; `drop_oldest` drops whole "
      + "writes for it, and counts them.")
  private static let queue = Setting(
    "queue", .size(in: 4 << 10...1 << 30), default: SubscriberSettings().queueByteLimit,
    help: "Under `drop_oldest`: how much may wait for a subscriber.")
  private static let maxSubscribers = Setting(
    "max_subscribers", .integer(in: 1...100_000), default: SubscriberSettings().limit,
    help: "The most subscribers at once; more are turned away.")
}
