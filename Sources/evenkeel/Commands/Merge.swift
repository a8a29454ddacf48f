internal import ArgumentParser
internal import Storage
internal import Stream

/// `evenkeel merge`: makes one checkpoint of the checkpoints of shards.
struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Merges the checkpoints of shards of a stream into one.",
    discussion: """
      Pools the running moments by the numbers of values (Chan, Golub & LeVeque 1979). The shards need the same \
      features, the same settings, and the same γ and β. With --momentum cumulative --estimator total, and with \
      --half-life-event-time, the result is that of one run over all records. Otherwise it is an estimate, and the command says so.
      """)

  @Argument(
    help: "At least two checkpoints, each a file or kafka://HOST:PORT/STATE-TOPIC/PARTITION.")
  var checkpoints: [String]

  @Option(name: [.short, .long], help: "The checkpoint to write.")
  var output: String

  func validate() throws {
    guard checkpoints.count > 1 else {
      throw ValidationError("expected at least two checkpoints, found one")
    }
  }

  func run() throws {
    do {
      var merged = try StateLocation.read(checkpoints[0], .ofOperators)
      for path in checkpoints.dropFirst() {
        let next = try StateLocation.read(path, .ofOperators)
        do throws(ContentError) {
          try merged.merge(next)
        } catch {
          throw StorageError.content(path: path, error)
        }
      }
      merged.mixClasses()
      try writeOutput(
        output, besides: checkpoints, bytes: { try merged.serialized() },
        file: { try CheckpointFile.write(merged, to: output) })
      try writeToStandardOutput(
        "\(checkpoints.count) checkpoints merged: \(accuracy(of: merged))\n")
    } catch {
      throw CommandFailure(error)
    }
  }

  private func accuracy(of merged: Checkpoint) -> String {
    switch merged.mergeAccuracy {
    case .exact: "exact, as of one run over all records"
    case .pooled:
      "an estimate. These settings weigh batches by their order, which shards do not have, so each shard counts "
        + "by its number of values. --momentum cumulative --estimator total and --half-life-event-time merge exactly"
    case .unknown: "each counts by its number of values; the checkpoints do not say their settings"
    }
  }
}
