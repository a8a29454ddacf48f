// Invariants:
// - Elements leave in the order in which they came.
// - No element is added after `end`. The consumer sees the end only after it has taken the last element.
// - A cancelled channel is empty, stays empty, and drops what is put.
// - A consumer that was told "empty" is woken once: when `wakingBytes` were put, by `flush` after an element was put,
//   by an element from outside, or by the end.
// - A producer that was told "full" is woken once, when the channel is half empty, so that it can take several steps.
//   A cancel always wakes it.

/// How much waits before a stage.
package struct QueueDepth: Sendable, Equatable {
  package var elements: Int
  package var bytes: Int

  package init(elements: Int, bytes: Int) {
    self.elements = elements
    self.bytes = bytes
  }
}

/// A queue between two stages, bounded in elements and in bytes.
///
/// The producer asks for room *before* it works, and `put` takes what that step emits. So a channel holds at most its
/// bound and the output of one step.
package final class Channel<Element: Sendable & Sized>: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  package enum Room {
    case open
    case full
    case cancelled
  }

  package enum Intake {
    case element(Element)
    case empty
    case ended((any Error)?)
  }

  /// The number of queued bytes that wakes the consumer before the producer pauses.
  private static var wakingBytes: Int { 256 << 10 }

  private let lock = Lock()
  private let maxElements: Int
  private let maxBytes: Int
  private var elements = FIFO<Element>()
  private var bytes = 0
  private var ending: (any Error)??
  private var isCancelled = false
  private var wakeProducer: (@Sendable () -> Void)?
  private var wakeConsumer: (@Sendable (Wake) -> Void)?
  private var producerWaits = false
  private var consumerWaits = false

  package init(maxElements: Int, maxBytes: Int) {
    precondition(maxElements > 0 && maxBytes > 0)
    self.maxElements = maxElements
    self.maxBytes = maxBytes
  }

  /// The elements in the channel now.
  var depth: QueueDepth { lock.withLock { QueueDepth(elements: elements.count, bytes: bytes) } }

  func onRoom(_ wake: @escaping @Sendable () -> Void) {
    lock.withLock { wakeProducer = wake }
  }

  func onElement(_ wake: @escaping @Sendable (Wake) -> Void) {
    lock.withLock { wakeConsumer = wake }
  }

  /// Whether the producer may work. After `full`, the channel wakes it when it may.
  func room(reserved: Int = 0) -> Room {
    lock.withLock {
      if isCancelled { return .cancelled }
      if elements.count + reserved < maxElements, bytes < maxBytes { return .open }
      producerWaits = true
      return .full
    }
  }

  /// Adds an element. Wakes the consumer only when `wakingBytes` are queued, since a wake costs as much as a small
  /// batch; `flush` wakes it for less.
  func put(_ element: consuming Element) {
    let isOpen = append(consume element, wakingAt: Self.wakingBytes)
    precondition(isOpen || lock.withLock { isCancelled }, "an element after the end")
  }

  /// Wakes the consumer if it waits and an element is queued.
  func flush(_ wake: Wake) {
    let consumer = lock.withLock { elements.isEmpty ? nil : consumerToWake() }
    consumer?(wake)
  }

  /// Adds an element from any caller, even if the channel is full. Returns false if the channel has ended.
  func offer(_ element: consuming Element) -> Bool {
    append(consume element, wakingAt: 0)
  }

  private func append(_ element: consuming Element, wakingAt wakingBytes: Int) -> Bool {
    lock.lock()
    guard !isCancelled, ending == nil else {
      lock.unlock()
      return false
    }
    bytes += element.byteCount
    // Moved, not copied: the consumer must be the only owner, so that it can change the element in place.
    elements.append(consume element)
    let consumer = bytes < wakingBytes ? nil : consumerToWake()
    lock.unlock()
    consumer?(.now)
    return true
  }

  /// Ends the channel. `failure` is the reason if the producer failed.
  func end(_ failure: (any Error)?) {
    let consumer = lock.withLock {
      guard !isCancelled, ending == nil else { return nil as (@Sendable (Wake) -> Void)? }
      ending = .some(failure)
      return consumerToWake()
    }
    consumer?(.now)
  }

  /// Takes the next element. After `empty`, the channel wakes the consumer when there is one.
  func take() -> Intake {
    let (intake, wake): (Intake, (@Sendable () -> Void)?) = lock.withLock {
      guard let element = elements.removeFirst() else {
        if case .some(let failure) = ending { return (.ended(failure), nil) }
        consumerWaits = true
        return (.empty, nil)
      }
      bytes -= element.byteCount
      return (.element(element), producerToWake())
    }
    wake?()
    return intake
  }

  /// Ends the channel for the consumer: it takes no more elements.
  func cancel() {
    let wake = lock.withLock {
      isCancelled = true
      elements.removeAll()
      bytes = 0
      producerWaits = false
      // Wakes the producer in any case, so that it releases what it holds.
      return wakeProducer
    }
    wake?()
  }

  private func producerToWake() -> (@Sendable () -> Void)? {
    guard producerWaits, elements.count <= maxElements / 2, bytes <= maxBytes / 2 else {
      return nil
    }
    producerWaits = false
    return wakeProducer
  }

  private func consumerToWake() -> (@Sendable (Wake) -> Void)? {
    guard consumerWaits else { return nil }
    consumerWaits = false
    return wakeConsumer
  }
}
