package import Operators
package import Stream

/// The questions of the control plane about one stream.
extension Supervisor {
  package func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus] {
    try find(stream).features
  }

  package func updates(
    of stream: String
  ) throws(CommandRefusal) -> [(kind: UpdateKind, isOn: Bool)] {
    let configuration = try find(stream).definition.stream
    return configuration.operators.flatMap { each in
      let isOn = each.isOn(configuration.operatorSettings)
      return each.declaration.updates.map { ($0, isOn) }
    }
  }

  package func drift(of stream: String) throws(CommandRefusal) -> [DriftAlarm] {
    try find(stream).drift
  }

  package func events(
    of stream: String, after number: Int
  ) throws(CommandRefusal) -> [LoggedEvent] {
    try find(stream).events(after: number)
  }

  /// Checks that the streams that a configuration changes can go on from their moments.
  package func check(_ configuration: DaemonConfiguration) throws(StreamError) {
    for definition in configuration.streams {
      guard let current = try? find(definition.name),
        current.definition.fingerprint != definition.fingerprint
      else { continue }
      for snapshot in current.snapshots {
        guard let reason = snapshot.refusal(of: definition.stream.normalization) else { continue }
        throw .configuration("streams.\(definition.name): \(Catalogue.wordsOfFile(reason))")
      }
    }
  }
}
