internal import BatchNormalization
internal import State

/// Tells once, while the stream goes on, that the columns of keys or of classes seem to be the wrong ones.
package struct KeyWatch: Sendable {
  package static let unusable = EventKind(
    "keys_unusable", .warning,
    help: "So far no record has a key, or not all classes of `weight.prior` have come.")

  /// The records without a key after which it is told. A run that ends earlier tells it at its end.
  static let leastRecords = 1000

  /// Whether it was told, or has no reason to be.
  private var isOver = false

  mutating func look(
    at state: borrowing StateTable, _ settings: NormalizationSettings,
    _ events: inout [OperatorEvent]
  ) {
    guard !isOver else { return }
    guard let counts = KeyCounts(of: state, settings),
      counts.known < max(1, settings.classes?.shares.count ?? 1)
    else {
      isOver = true
      return
    }
    guard counts.unusable >= Self.leastRecords, let warning = counts.warning else { return }
    isOver = true
    events.append(OperatorEvent(Self.unusable, warning))
  }
}
