internal import Dataflow
internal import Glibc
internal import Synchronization

/// Passes answers from other threads to the control plane's loop, and wakes it.
final class ControlMailbox: @unchecked Sendable {
  // @unchecked because `letters` and `isAwake` are only touched with `lock` held.

  struct Letter {
    enum Content {
      /// The loop makes it, so that a stream that answers a trainer spends no time on it.
      case answer(@Sendable () -> HTTPResponse)
      /// The answer to send if no other comes in time.
      case fallback(@Sendable () -> HTTPResponse)
      /// The bound of the body of a request is looked up: the loop may read on.
      case readOn
      /// The head of an answer whose body comes little by little.
      case live(HTTPResponse, LiveBody)
      /// The next bytes of such a body.
      case more([UInt8])
      /// The end of such a body.
      case end
    }

    let exchange: Int
    let content: Content
  }

  private let lock = Lock()
  private var letters: [Letter] = []
  /// Whether the loop was woken for the letters.
  private var isAwake = false
  private let hasStopped = Atomic(false)
  private let reading: ControlSocket
  private let writing: ControlSocket

  init() throws(SocketFailure) {
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw SocketFailure(call: "pipe", errno: errno) }
    (reading, writing) = (ControlSocket(adopting: ends[0]), ControlSocket(adopting: ends[1]))
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
  }

  /// Readable while there is something new.
  var descriptor: CInt { reading.number }

  var isStopping: Bool { hasStopped.load(ordering: .acquiring) }

  func stop() {
    hasStopped.store(true, ordering: .releasing)
    wake()
  }

  /// - Parameter wakes: whether the loop takes the letter at once, and not only in its next turn.
  func put(_ letter: Letter, wakes: Bool = true) {
    let isFirst = lock.withLock {
      letters.append(letter)
      defer { if wakes { isAwake = true } }
      return wakes && !isAwake
    }
    if isFirst { wake() }
  }

  /// Takes everything that has come since the last call.
  func take() -> [Letter] {
    var drained = [UInt8](repeating: 0, count: 256)
    while Glibc.read(reading.number, &drained, drained.count) > 0 {}
    return lock.withLock {
      defer { (letters, isAwake) = ([], false) }
      return letters
    }
  }

  /// A full pipe also wakes the loop.
  private func wake() {
    var byte: UInt8 = 1
    _ = Glibc.write(writing.number, &byte, 1)
  }
}

/// Replies to the client of one request. Only the first answer counts.
struct ControlReply: Sendable {
  let exchange: Int
  let mail: ControlMailbox

  func send(_ response: HTTPResponse) { send { response } }

  func send(_ make: @escaping @Sendable () -> HTTPResponse) {
    mail.put(.init(exchange: exchange, content: .answer(make)))
  }

  /// Sets the answer to send if no other comes in time. It wakes nobody: most often another comes at once.
  func expect(orElse make: @escaping @Sendable () -> HTTPResponse) {
    mail.put(.init(exchange: exchange, content: .fallback(make)), wakes: false)
  }

  /// Has the loop read the rest of a request.
  func readOn() { mail.put(.init(exchange: exchange, content: .readOn)) }
}

/// Counts connections to the control plane.
final class ControlStatistics: Sendable {
  /// Accepted connections.
  let accepted = Atomic(0)
  /// Connections refused, or closed to make room for another.
  let refused = Atomic(0)
}
