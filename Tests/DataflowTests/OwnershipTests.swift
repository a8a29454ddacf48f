import Testing

@testable import Dataflow

/// An element has one owner at a time. With two owners, a change would copy half a megabyte for every batch.
@Suite struct OwnershipTests {
  @Test(arguments: [1, 2]) func `a stage and a worker are the only owners of an element`(
    workers: Int
  ) {
    let shared = Shared(0)
    // The elements are so large that each wakes its consumer while the producer is still in its step.
    let buffer = Flow.Buffer(elements: 4, bytes: 4 << 20)
    let ending = Ending()
    let items = Shared<[Int]>([])
    Flow.from(Making(count: 2000), buffer: buffer)
      .through(Owning(shared: shared), buffer: buffer)
      .spread(
        over: (0..<workers).map { _ in OwningWorker(shared: shared) },
        buffer: buffer
      )
      .into(Collecting(items)) { ending.complete($0) }
      .start()
    #expect(ending.wait())
    #expect(items.current.count == 2000)
    #expect(shared.current == 0)
  }
}

private final class Memory: Sendable {}

private struct Owned: Sized, Sendable {
  private var memory = Memory()
  var byteCount: Int { 1 << 20 }

  /// Adds 1 to `shared` if the memory has another owner.
  mutating func look(_ shared: Shared<Int>) {
    if !isKnownUniquelyReferenced(&memory) { shared.withValue { $0 += 1 } }
  }
}

private struct Making: Stage {
  var count: Int

  mutating func step(
    _ signal: consuming Signal<Nothing>, emit: (consuming Owned) -> Void
  ) -> Progress {
    guard count > 0 else { return .finished }
    count -= 1
    emit(Owned())
    return .again
  }
}

private struct Owning: Stage {
  let shared: Shared<Int>

  mutating func step(
    _ signal: consuming Signal<Owned>, emit: (consuming Owned) -> Void
  ) -> Progress {
    guard case .element(var element) = consume signal else { return .next }
    element.look(shared)
    emit(consume element)
    return .next
  }
}

private struct OwningWorker: Worker {
  let shared: Shared<Int>

  mutating func work(_ input: consuming Owned) -> Item {
    input.look(shared)
    return Item(number: 0)
  }
}
