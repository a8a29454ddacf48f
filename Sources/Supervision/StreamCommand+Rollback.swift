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
    var known: [Int] = []
    do throws(StorageError) {
      let found = try CheckpointStore.checkpoint(
        body.generation, in: directory, .ofOperators, of: fileSystem)
      body.saved = found?.state
      if found == nil { known = try CheckpointStore.numbers(in: directory, of: fileSystem) }
    } catch {
      throw .unfit("\(error)")
    }
    guard body.saved != nil else {
      let numbers = known.isEmpty ? "none" : known.map { "\($0)" }.joined(separator: ", ")
      throw .unfit(
        "generation: expected one that the stream keeps (\(numbers)), found \(body.generation)")
    }
    return .update(StreamUpdate(update.name, body))
  }
}
