internal import BatchNormalization
package import Connectors
internal import FoundationEssentials
package import Operators
internal import Records
package import Storage

/// A change that a user requests of all partitions of a stream, as a message of the state topic.
package struct RequestedChange: Sendable, Equatable {
  package var change: ControlChange
  /// The process that was asked.
  package var by: StateOwner

  private struct Message: Codable {
    var change: String
    var mode: String?
    var by: StateOwner
  }

  /// The longest text of a message, in bytes.
  private static let mostBytes = 4096

  /// - Returns: nil for another text.
  init?(_ value: [UInt8], offset: Int) {
    guard value.count <= Self.mostBytes,
      let message = try? JSONDecoder().decode(Message.self, from: Data(value))
    else { return nil }
    change = ControlChange(message.change, mode: message.mode, offset: offset)
    by = message.by
  }

  /// The message with which a process requests an update.
  package static func message(
    _ update: StreamUpdate, of subject: String, by owner: StateOwner
  ) -> StateMessage {
    let message = Message(
      change: update.name, mode: (update.body as? ModeBody)?.mode.rawValue, by: owner)
    // Texts and finite numbers can always be encoded.
    let value = (try? JSONEncoder().encode(message)).map { Array($0) } ?? []
    return StateMessage(
      key: StateKey.control + subject, value: value, headers: [StateHeader.owner: owner.id])
  }
}

/// The changes by users that a partition has made, by their subjects.
struct StreamControl: Sendable, Equatable {
  /// The subject of a reset.
  static let reset = "reset"
  /// More are not taken.
  static let mostSubjects = 16

  /// The settings of the file.
  private let configured: NormalizationSettings
  private(set) var made: [String: ControlChange]

  /// - Parameter made: those of the state from which the run starts.
  init(over configured: NormalizationSettings, made: [String: ControlChange] = [:]) {
    (self.configured, self.made) = (configured, made)
  }

  /// The offset of the last reset; -1 without one.
  var resetOffset: Int { made[Self.reset]?.offset ?? -1 }

  /// The settings of the file with the last freeze and mode. A mode that does not fit them is left out.
  var settings: NormalizationSettings {
    made.values.sorted { $0.offset < $1.offset }.reduce(configured) { settings, change in
      let changed = settings.after(change.update)
      return changed.modeFault == nil ? changed : settings
    }
  }

  /// The reason why the settings of the file do not allow a change; nil if they do.
  func fault(of change: ControlChange) -> OperatorError? {
    configured.after(change.update).modeFault.map { OperatorError("normalize", $0) }
  }

  /// Takes those of the last changes that it does not have.
  ///
  /// - Returns: what is new, in the order of the topic.
  mutating func take(_ last: [String: ControlChange]) -> [ControlChange] {
    var new: [ControlChange] = []
    for (subject, change) in last where change.offset > made[subject]?.offset ?? -1 {
      made[subject] = change
      new.append(change)
    }
    return new.sorted { $0.offset < $1.offset }
  }
}

extension ControlChange {
  /// The update that it is.
  var update: StreamUpdate {
    StreamUpdate(
      change, mode.flatMap { NormalizationMode(rawValue: $0) }.map { ModeBody(mode: $0) })
  }

  /// Whether it changes settings, and not the state.
  var isOfSettings: Bool { ["freeze", "thaw", "mode"].contains(change) }
}
