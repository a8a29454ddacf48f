internal import BatchNormalization
internal import Records

/// Tells when the limit of a prior begins to hold the moments of a feature, and when it no longer does.
struct LimitWatch: Sendable {
  static let begun = EventKind(
    "limit_reached", .warning,
    help: "The moments that normalise a feature are held at the limit of the prior.")
  static let ended = EventKind(
    "limit_left", .notice, help: "The limit of the prior no longer holds the moments of a feature.")

  /// A limit that holds no more is told after this many batches, so that moments near it do not fill the log.
  static let quietBatches = 20

  /// The batches since the limit last held each feature that was told, by its index.
  private var told: [Int: Int] = [:]

  mutating func look(
    at plan: borrowing BatchPlan, _ names: [String], _ events: inout [OperatorEvent]
  ) {
    for j in plan.features.indices {
      if let held = plan.features[j].held {
        if told.updateValue(0, forKey: j) == nil {
          events.append(Self.event(held, names[j]))
        }
      } else if !told.isEmpty, let quiet = told[j] {
        told[j] = quiet + 1
        guard quiet + 1 == Self.quietBatches else { continue }
        told[j] = nil
        events.append(
          OperatorEvent(Self.ended, feature: names[j], "is within the limit of the prior again"))
      }
    }
  }

  private static func event(_ held: HeldMoments, _ feature: String) -> OperatorEvent {
    var words: [String] = []
    var fields: [String: EventValue] = [:]
    if let mean = held.mean {
      words.append("its mean is \(short(mean)) deviations of the prior from that of the prior")
      fields["mean_distance"] = .number(mean)
    }
    if let deviation = held.deviation {
      words.append("its deviation is \(short(deviation)) times that of the prior")
      fields["deviation_ratio"] = .number(deviation)
    }
    var event = OperatorEvent(
      begun, feature: feature,
      words.joined(separator: ", ") + "; the limit holds the moments that "
        + "normalise it")
    event.fields = fields
    return event
  }
}
