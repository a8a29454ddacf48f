internal import BatchNormalization
internal import Operators
internal import Storage

/// Makes the changes by users, and takes the moments of the other partitions, and the γ and β that one of them learns.
extension OperateStage {
  /// Takes them in the order of the records: the checkpoint after it has them, so that a replay normalises alike.
  mutating func lookAtPeers() {
    guard let peers = initial.peers, operators != nil else { return }
    takeControl(peers)
    guard let operators else { return }
    do throws(OperatorError) {
      if let view = peers.view, operators.normalization?.isFrozen == false {
        let others = view(operators.newestTime, checkpoints.control?.resetOffset ?? -1)
        try self.operators?.setView(others)
      }
    } catch {
      peers.warn("the moments of other partitions are not taken: \(error)")
    }
    do throws(OperatorError) {
      guard let learner = peers.learner(),
        try self.operators?.takeParameters(of: learner) == true
      else { return }
      display.hasChanged = true
      show(atOnce: true)
    } catch {
      peers.warn(
        "γ and β of partition \(PeerStates.learningPartition) are not taken: \(error)")
    }
  }

  /// Makes the changes by users that are new. One that cannot be made is told, and counts as made.
  private mutating func takeControl(_ peers: PeerReading) {
    guard let new = checkpoints.control?.take(peers.control()), !new.isEmpty else { return }
    for change in new {
      do throws(OperatorError) {
        if change.isOfSettings, let settings = checkpoints.control?.settings {
          if let fault = checkpoints.control?.fault(of: change) { throw fault }
          try operators?.replaceNormalization(settings)
        } else {
          try operators?.apply(change.update)
        }
        units.add([.applied(update: change.change, stateVersion: operators?.stateVersion ?? 0)])
      } catch {
        peers.refuse("the change '\(change.change)' is not made: \(error)")
      }
    }
    // From here on, the settings of this run move the moments.
    if operators?.normalization?.isFrozen == false { checkpoints.origin = .ownSettings }
    addEvents()
    display.hasChanged = true
    display.snapshot?.show(control: checkpoints.control?.made ?? [:])
    show(atOnce: true)
  }
}
