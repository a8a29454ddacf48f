internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

/// The request for a checkpoint, on its way through the stages: it stands between two batches.
///
/// IngestStage says where the input stands there, the next stage adds the state, and EmitStage adds the
/// outputs and commits.
struct Barrier: Sendable {
  /// The position from which a later run goes on with the input.
  var input: InputCursor
  /// The changes, since the last barrier, of the splits that are done.
  var doneChanges = DoneChanges()
  /// The state after all batches before the barrier; nil until it was added.
  var checkpoint: Checkpoint?
  /// Answered when the checkpoint is committed.
  var requests: [StreamRequest] = []

  /// Takes over what an earlier barrier asked for that came to no checkpoint.
  mutating func replace(_ earlier: Barrier) {
    var changes = earlier.doneChanges
    changes.append(doneChanges)
    doneChanges = changes
    requests = earlier.requests + requests
  }
}

/// A command on its way to the stage that carries it out. It is always answered:
/// one that is dropped is refused.
final class StreamRequest: Sendable {
  let command: StreamCommand
  private let stream: String
  private let reply: @Sendable (Result<Void, CommandRefusal>) -> Void
  private let isAnswered = Atomic(false)

  /// - Parameters:
  ///   - stream: the name of the stream.
  ///   - reply: called once, when the command has taken effect or was refused.
  init(
    _ command: StreamCommand, of stream: String,
    reply: @escaping @Sendable (Result<Void, CommandRefusal>) -> Void
  ) {
    self.command = command
    self.stream = stream
    self.reply = reply
  }

  deinit {
    if !isAnswered.load(ordering: .relaxed) { reply(.failure(.notRunning(stream))) }
  }

  func answer(_ result: Result<Void, CommandRefusal>) {
    isAnswered.store(true, ordering: .relaxed)
    reply(result)
  }
}

/// Holds requests until IngestStage lets them in between two batches.
final class RequestInbox: @unchecked Sendable {
  // @unchecked because every stored variable but the atomic is only touched with `lock` held.
  private let lock = Lock()
  private var requests: [StreamRequest] = []
  private let isWaiting = Atomic(false)
  private var isClosed = false

  /// Takes a request; one that comes after the end of the run is dropped, which refuses it.
  func put(_ request: StreamRequest) {
    lock.withLock {
      guard !isClosed else { return }
      requests.append(request)
      isWaiting.store(true, ordering: .releasing)
    }
  }

  var isEmpty: Bool { !isWaiting.load(ordering: .acquiring) }

  func takeAll() -> [StreamRequest] {
    lock.withLock {
      defer {
        requests = []
        isWaiting.store(false, ordering: .releasing)
      }
      return requests
    }
  }

  /// Refuses what waits and all that comes.
  func close() {
    let refused = lock.withLock {
      defer {
        requests = []
        isClosed = true
      }
      return requests
    }
    // Outside the lock: a reply may do anything.
    _ = consume refused
  }
}
