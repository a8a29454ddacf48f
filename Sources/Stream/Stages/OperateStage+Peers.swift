internal import BatchNormalization
internal import Operators

/// Takes the moments of the other partitions, and the γ and β that one of them learns.
extension OperateStage {
  /// Takes them in the order of the records: the checkpoint after it has them, so that a replay normalises alike.
  mutating func lookAtPeers() {
    guard let peers = initial.peers, let operators else { return }
    do throws(OperatorError) {
      if let view = peers.view, operators.normalization?.isFrozen == false {
        try self.operators?.setView(view(operators.newestTime))
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
}
