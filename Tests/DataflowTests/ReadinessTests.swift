import Dispatch
import Glibc
import Testing

@testable import Dataflow

@Suite struct ReadinessTests {
  private let own = TestThreads()
  private let items = Shared<[Int]>([])
  private let buffer = Flow.Buffer(elements: 4, bytes: 1 << 20)

  private func flow(_ source: PipeReading, sink: Collecting? = nil, _ ending: Ending) -> Flow {
    Flow.from(source, buffer: buffer, threads: own.threads)
      .into(sink ?? Collecting(items), on: .unknown) { ending.complete($0) }
  }

  private func write(_ bytes: [UInt8], to descriptor: Int32) {
    #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
  }

  @Test func `a source that waits for a pipe resumes when bytes come`() throws {
    let pipe = try Pipe()
    let (ending, received) = (Ending(), DispatchSemaphore(value: 0))
    var sink = Collecting(items)
    sink.onItem = { _ in received.signal() }
    let flow = flow(PipeReading(pipe), sink: sink, ending)
    flow.start()
    for byte in 1...20 as ClosedRange<UInt8> {
      // Single bytes, so that the source waits before each.
      write([byte], to: pipe.writeEnd)
      #expect(received.waits())
    }
    pipe.closeWriteEnd()
    #expect(ending.wait())
    #expect(ending.failure == nil)
    #expect(items.current == Array(1...20))
  }

  @Test func `stop ends a source that waits for a pipe`() throws {
    let pipe = try Pipe()
    let (ending, waiting) = (Ending(), DispatchSemaphore(value: 0))
    let flow = flow(PipeReading(pipe) { waiting.signal() }, ending)
    flow.start()
    #expect(waiting.waits())
    flow.stop()
    #expect(ending.wait())
    #expect(ending.failure == nil)
    pipe.closeWriteEnd()
  }

  @Test func `cancel releases a source that waits for a pipe`() throws {
    let pipe = try Pipe()
    let (ending, waiting) = (Ending(), DispatchSemaphore(value: 0))
    let flow = flow(PipeReading(pipe) { waiting.signal() }, ending)
    flow.start()
    #expect(waiting.waits())
    flow.cancel(TestFailure(number: 1))
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 1))
    // The write end reports that no reader is left.
    var query = pollfd(fd: pipe.writeEnd, events: 0, revents: 0)
    #expect(poll(&query, 1, 20_000) == 1)
    #expect(query.revents & Int16(POLLERR) != 0)
    pipe.closeWriteEnd()
  }

  @Test func `only its descriptor resumes a source that still waits after stop`() throws {
    let pipe = try Pipe()
    let (ending, waiting) = (Ending(), DispatchSemaphore(value: 0))
    var source = PipeReading(pipe) { waiting.signal() }
    source.drainsAtEnd = true
    let flow = flow(source, ending)
    flow.start()
    #expect(waiting.waits())
    flow.stop()
    #expect(waiting.waits())
    #expect(waiting.staysQuiet())
    write([7], to: pipe.writeEnd)
    pipe.closeWriteEnd()
    #expect(ending.wait())
    #expect(items.current == [7])
  }

  @Test func `many flows that wait for pipes at once all resume`() throws {
    var flows: [(pipe: Pipe, ending: Ending)] = []
    for _ in 0..<100 {
      let (pipe, ending) = (try Pipe(), Ending())
      flow(PipeReading(pipe), ending).start()
      flows.append((pipe, ending))
    }
    for round in 0..<5 {
      for (pipe, _) in flows { write([UInt8(round)], to: pipe.writeEnd) }
    }
    for (pipe, ending) in flows {
      pipe.closeWriteEnd()
      #expect(ending.wait())
    }
    #expect(items.current.sorted() == (0..<5).flatMap { Array(repeating: $0, count: 100) })
  }

  @Test func `a descriptor with a reused number is watched again`() throws {
    for round in 0..<100 {
      let first = try Pipe()
      let number = first.readEnd
      let (ending, waiting) = (Ending(), DispatchSemaphore(value: 0))
      let stopped = flow(PipeReading(first) { waiting.signal() }, ending)
      stopped.start()
      #expect(waiting.waits())
      stopped.stop()
      #expect(ending.wait())
      first.closeWriteEnd()

      let second = try Pipe(readEnd: number)
      let (secondEnding, secondWaiting) = (Ending(), DispatchSemaphore(value: 0))
      flow(PipeReading(second) { secondWaiting.signal() }, secondEnding).start()
      #expect(secondWaiting.waits())
      write([UInt8(round)], to: second.writeEnd)
      second.closeWriteEnd()
      #expect(secondEnding.wait())
    }
    #expect(items.current == Array(0..<100))
  }

  @Test func `a stage that closes its descriptor does not end the wait of another stage`() throws {
    // A number that is too high for the descriptors of other tests.
    let number: Int32 = 500
    let (first, input) = (try Pipe(readEnd: number), try Pipe())
    let (ending, secondEnding) = (Ending(), Ending())
    let (took, waiting, never) = (
      DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    let second = Shared<Pipe?>(nil)
    let sink = Attending(
      first, onItem: { took.signal() },
      onEnd: {
        // The new stage uses the number before this one has ended.
        guard let pipe = try? Pipe(readEnd: number) else { return }
        second.withValue { $0 = pipe }
        flow(PipeReading(pipe) { waiting.signal() }, secondEnding).start()
        #expect(waiting.waits())
        #expect(never.staysQuiet())
      })
    Flow.from(PipeReading(input), buffer: buffer, threads: own.threads)
      .into(sink, on: .unknown) { ending.complete($0) }
      .start()
    write([1], to: input.writeEnd)
    #expect(took.waits())
    #expect(never.staysQuiet())
    input.closeWriteEnd()
    #expect(ending.wait())
    let pipe = try #require(second.current)
    #expect(pipe.readEnd == number)
    write([7], to: pipe.writeEnd)
    pipe.closeWriteEnd()
    #expect(secondEnding.wait())
    #expect(items.current == [7])
    first.closeWriteEnd()
  }
}

private struct PipeError: Error {}

/// Both ends of a pipe. The stage that reads it owns the read end.
private final class Pipe: Sendable {
  let readEnd: Int32
  let writeEnd: Int32

  /// - Parameter readEnd: the least number of the read end; nil is any number.
  init(readEnd wanted: Int32? = nil) throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw PipeError() }
    if let wanted, ends[0] != wanted {
      // The least free number that is not below it.
      let first = fcntl(ends[0], F_DUPFD, wanted)
      close(ends[0])
      ends[0] = first
    }
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  func closeWriteEnd() { close(writeEnd) }
}

/// Reads one byte of a pipe a step. Closes the pipe when it is released.
private struct PipeReading: Stage {
  private final class Reader: Sendable {
    let descriptor: Int32
    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }
  }

  /// Whether it reads to the end after a stop.
  var drainsAtEnd = false
  private let reader: Reader
  private let onWait: @Sendable () -> Void

  init(_ pipe: Pipe, onWait: @escaping @Sendable () -> Void = {}) {
    reader = Reader(pipe.readEnd)
    self.onWait = onWait
  }

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming Item) -> Void
  ) throws -> Progress {
    if case .end = signal, !drainsAtEnd { return .finished }
    var query = pollfd(fd: reader.descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&query, 1, 0) > 0 else {
      onWait()
      return .waits(Awaiting(.readable(descriptor: reader.descriptor)))
    }
    var byte: UInt8 = 0
    guard read(reader.descriptor, &byte, 1) == 1 else { return .finished }
    emit(Item(number: Int(byte)))
    return .again
  }
}

/// Takes items while it waits for a pipe, and closes the pipe at the end.
private struct Attending: Stage {
  private let descriptor: Int32
  private let onItem: @Sendable () -> Void
  private let onEnd: @Sendable () -> Void

  init(
    _ pipe: Pipe, onItem: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void
  ) {
    descriptor = pipe.readEnd
    self.onItem = onItem
    self.onEnd = onEnd
  }

  mutating func step(_ signal: Signal<Item>, emit: (consuming Nothing) -> Void) throws -> Progress {
    if case .element = signal { onItem() }
    guard case .end = signal else { return .nextOr(Awaiting(.readable(descriptor: descriptor))) }
    close(descriptor)
    onEnd()
    return .finished
  }
}
