internal import Operators
internal import Storage
internal import Stream

extension StreamCommand {
  /// The command with the state of the generation that it names, if it names one.
  ///
  /// - Parameter directory: that of the stream's checkpoints.
  /// - Throws: `CommandRefusal.unfit` if the generation does not exist or cannot be read.
  func withSavedState(
    in directory: String, _ fileSystem: any FileSystem
  ) throws(CommandRefusal) -> StreamCommand {
    guard case .update(let update) = self, var body = update.body as? RollbackBody else {
      return self
    }
    let (checkpoint, numbers): (Checkpoint?, [Int])
    do throws(StorageError) {
      checkpoint = try CheckpointStore.checkpoint(
        body.generation, in: directory, .ofOperators, of: fileSystem)
      numbers = try CheckpointStore.numbers(in: directory, of: fileSystem)
    } catch {
      throw .unfit("\(error)")
    }
    guard let checkpoint else {
      let known = numbers.isEmpty ? "none" : numbers.map { "\($0)" }.joined(separator: ", ")
      throw .unfit(
        "generation: expected one that the stream keeps (\(known)), found \(body.generation)")
    }
    body.saved = checkpoint.state
    return .update(StreamUpdate(update.name, body))
  }
}
