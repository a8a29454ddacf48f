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

  /// Reads the settings of a socket that is listened on, or of one that is `connecting`.
  init(_ section: ConfigurationSection, connecting: Bool) {
    whenFull = section.choice("when_full", default: .block)
    queueByteLimit = section.bytes("queue", in: 4 << 10...1 << 30, default: 4 << 20)
    if whenFull == .block, section.contains("queue") {
      section.report(
        "queue", expected: "when_full: drop_oldest beside it", found: "when_full: block")
    }
    limit = section.int("max_subscribers", in: 1...100_000, default: 200)
    if connecting { section.refuse("max_subscribers", beside: "connect: true") }
  }
}

extension ConfigurationSection {
  /// Reports a key that means nothing beside another.
  func refuse(_ key: String, beside other: String) {
    if contains(key) { report(key, expected: "no \(key) beside \(other)", found: "both") }
  }
}
