package import Operators
package import Records

/// A command to a running stream. It takes effect between two batches.
package enum StreamCommand: Sendable, Equatable {
  /// Writes a checkpoint now.
  case checkpoint
  /// Changes an operator of the stream.
  case update(StreamUpdate)
}

/// Gets the outcome of a command, once: the versions of the state after an update, or nothing after a checkpoint.
package typealias CommandReply = @Sendable (Result<StateVersions?, CommandRefusal>) -> Void

/// The reason why a command was not run.
package enum CommandRefusal: Error, Equatable, CustomStringConvertible {
  case noSuchStream(String)
  /// The stream does not run now.
  case notRunning(String)
  /// An operator refuses the update.
  case refused(OperatorError)
  /// The command does not fit the stream. The text tells the expected and the found value, in one line.
  case unfit(String)

  package var description: String {
    switch self {
    case .noSuchStream(let name): "no stream '\(name)'"
    case .notRunning(let name): "stream '\(name)' does not run"
    case .refused(let error): error.description
    case .unfit(let reason): reason
    }
  }
}
