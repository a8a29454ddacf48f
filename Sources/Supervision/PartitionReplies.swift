internal import Operators
internal import Records
internal import Stream
internal import Synchronization

/// Calls a function after a number of calls.
final class Countdown: Sendable {
  private let left: Mutex<Int>
  private let completion: @Sendable () -> Void

  init(_ count: Int, _ completion: @escaping @Sendable () -> Void) {
    left = Mutex(count)
    self.completion = completion
  }

  func count() {
    let isLast = left.withLock { left in
      left -= 1
      return left == 0
    }
    if isLast { completion() }
  }
}

/// The replies of all partitions to a command.
final class Replies: Sendable {
  private struct State {
    var left: Int
    var versions: StateVersions?
    var refusal: CommandRefusal?
  }

  private let state: Mutex<State>
  private let reply: CommandReply

  init(_ count: Int, _ reply: @escaping CommandReply) {
    state = Mutex(State(left: count))
    self.reply = reply
  }

  /// Takes the reply of one. The last one tells the highest versions, or the first refusal.
  func take(_ result: Result<CommandAnswer, CommandRefusal>) {
    let all: Result<CommandAnswer, CommandRefusal>? = state.withLock { state in
      state.left -= 1
      switch result {
      case .failure(let refusal): state.refusal = state.refusal ?? refusal
      case .success(.done(let versions)):
        if let versions {
          state.versions = StateVersions(
            state: max(versions.state, state.versions?.state ?? 0),
            parameters: max(versions.parameters, state.versions?.parameters ?? 0))
        }
      case .success(.keys), .success(.accepted): break
      }
      guard state.left == 0 else { return nil }
      if let refusal = state.refusal { return .failure(refusal) }
      return .success(.done(state.versions))
    }
    if let all { reply(all) }
  }
}
