package import BatchNormalization

/// What an operator asks of a running stream; each takes effect between two batches.
package enum StreamCommand: Sendable, Equatable {
  case freeze
  case thaw
  /// Forgets the running moments; γ and β stay.
  case reset
  case checkpoint
  case mode(NormalizationMode)
  /// γ and β, in the order of the features or by name.
  case parameters(weight: [Double], bias: [Double], features: [String]?)
}

/// Why a command was not carried out.
package enum CommandRefusal: Error, Equatable, CustomStringConvertible {
  case noSuchStream(String)
  /// The stream does not run now.
  case notRunning(String)
  /// The command does not fit the stream; expected and found, in one line.
  case unfit(String)

  package var description: String {
    switch self {
    case .noSuchStream(let name): "no stream '\(name)'"
    case .notRunning(let name): "stream '\(name)' does not run"
    case .unfit(let reason): reason
    }
  }
}
