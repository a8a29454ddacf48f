import Connectors
import Operators
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// A rule of a partition whose state is in a topic. A simulation without it must fail.
enum PartitionCanary: CaseIterable {
  /// A state does not wait for the output before it.
  case outputIsNotAwaited
  /// A state does not have the changes by users.
  case changesAreForgotten
  /// A process makes changes among records that an earlier one may have written.
  case changesComeAmongCopies
}

extension PartitionWorld {
  /// How a partition reads the changes by users.
  var peers: PeerReading {
    PeerReading(learner: { nil }, control: { [self] in control }, warn: { _ in })
  }

  /// Lets a user change the stream in some way.
  func change(using random: inout SplitMix64) {
    switch Int.random(in: 0..<5, using: &random) {
    case 0, 1: change("freeze", random.once(in: 2) ? "freeze" : "thaw")
    case 2: change("reset", "reset")
    default:
      change("mode", "mode", mode: ["running", "batch", "renorm"].randomElement(using: &random))
    }
  }
}

extension StateMessage {
  /// The message, if it is a state, without the changes by users.
  var forgettingChanges: StateMessage {
    guard key == StateKey.state, let value,
      var checkpoint = try? Checkpoint(serialized: value, .ofOperators)
    else { return self }
    checkpoint.control = [:]
    var message = self
    message.value = try? checkpoint.serialized()
    return message
  }
}
