internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

/// A request for a checkpoint on its way through the stages, between two batches.
///
/// IngestStage adds the position of the input, the next stage the state, and EmitStage the positions of the outputs;
/// then EmitStage commits.
struct Barrier: Sendable {
  /// The position at which a later run resumes the input.
  var input: InputCursor
  /// The position at which a later run resumes the gradients; nil if the stream has had none.
  var gradients: GradientCursor?
  /// The changes of the set of done splits since the last barrier.
  var doneChanges = DoneChanges()
  /// Whether an earlier run may have written the records after it. They must be the same, so OperateStage takes nothing from
  /// other partitions and users.
  var isRepeating = false
  /// The state after all batches before the barrier; nil until OperateStage adds it.
  var checkpoint: Checkpoint?
  /// The requests that are answered when the checkpoint is committed.
  var requests: [StreamRequest] = []

  /// Takes over the requests and changes of an earlier barrier that was not committed.
  mutating func replace(_ earlier: Barrier) {
    var changes = earlier.doneChanges
    changes.append(doneChanges)
    doneChanges = changes
    requests = earlier.requests + requests
  }
}

/// A command on its way to the stage that runs it. It is always answered: if it is dropped, it is refused.
final class StreamRequest: Sendable {
  let command: StreamCommand
  /// The size of its text, if it counts against the bounds of a channel.
  let byteCount: Int
  private let stream: String
  private let reply: CommandReply
  private let isAnswered = Atomic(false)

  /// - Parameters:
  ///   - stream: the name of the stream.
  ///   - reply: called once, when the command has taken effect or was refused.
  init(
    _ command: StreamCommand, of stream: String, byteCount: Int = 0,
    reply: @escaping CommandReply
  ) {
    self.command = command
    self.byteCount = byteCount
    self.stream = stream
    self.reply = reply
  }

  deinit {
    if !isAnswered.load(ordering: .relaxed) { reply(.failure(.notRunning(stream))) }
  }

  func answer(_ result: Result<CommandAnswer, CommandRefusal>) {
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

  /// Takes a request. After the end of the run, a request is dropped, which refuses it.
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

  /// Refuses all waiting and all later requests.
  func close() {
    let refused = lock.withLock {
      defer {
        requests = []
        isClosed = true
      }
      return requests
    }
    // Outside the lock, because a reply may run any code.
    _ = consume refused
  }
}
