import Testing

@testable import Dataflow

@Suite struct ChannelTests {
  private let producerWakes = Shared(0)
  private let consumerWakes = Shared(0)

  private func channel(elements: Int = 2, bytes: Int = 100) -> Channel<Item> {
    let channel = Channel<Item>(maxElements: elements, maxBytes: bytes)
    channel.onRoom { [producerWakes] in producerWakes.withValue { $0 += 1 } }
    channel.onElement { [consumerWakes] _ in consumerWakes.withValue { $0 += 1 } }
    return channel
  }

  private func number(_ intake: Channel<Item>.Intake) -> Int? {
    if case .element(let item) = intake { item.number } else { nil }
  }

  @Test func `elements are taken in the order in which they were put`() {
    let channel = channel()
    for number in 0..<5 { channel.put(Item(number: number)) }
    #expect(channel.depth == QueueDepth(elements: 5, bytes: 5 * Item(number: 0).byteCount))
    #expect((0..<5).map { _ in number(channel.take()) } == [0, 1, 2, 3, 4])
    #expect(channel.depth == QueueDepth(elements: 0, bytes: 0))
  }

  @Test func `a channel is full at its bound of elements and wakes the producer once`() {
    let channel = channel(elements: 2)
    channel.put(Item(number: 0))
    #expect(channel.room() == .open)
    channel.put(Item(number: 1))
    #expect(channel.room() == .full)
    #expect(producerWakes.current == 0)
    _ = channel.take()
    #expect(producerWakes.current == 1)
    _ = channel.take()
    #expect(producerWakes.current == 1)
    #expect(channel.room() == .open)
  }

  @Test func `a producer told full is woken when the channel is half empty`() {
    let channel = channel(elements: 4)
    for number in 0..<4 { channel.put(Item(number: number)) }
    #expect(channel.room() == .full)
    _ = channel.take()
    #expect(producerWakes.current == 0)
    _ = channel.take()
    #expect(producerWakes.current == 1)
  }

  @Test func `a producer that was not told full is not woken`() {
    let channel = channel()
    channel.put(Item(number: 0))
    _ = channel.take()
    #expect(producerWakes.current == 0)
  }

  @Test func `a channel is full at its bound of bytes and open again below it`() {
    let channel = channel(elements: 10, bytes: 100)
    channel.put(Item(number: 0, byteCount: 99))
    #expect(channel.room() == .open)
    channel.put(Item(number: 1, byteCount: 500))
    #expect(channel.room() == .full)
    _ = channel.take()
    #expect(channel.room() == .full)
    _ = channel.take()
    #expect(channel.room() == .open)
  }

  @Test func `reserved places count against the bound`() {
    let channel = channel(elements: 3)
    channel.put(Item(number: 0))
    #expect(channel.room(reserved: 1) == .open)
    #expect(channel.room(reserved: 2) == .full)
  }

  @Test func `a consumer told empty is woken once by a flush of what was put`() {
    let channel = channel()
    guard case .empty = channel.take() else {
      Issue.record("expected an empty channel")
      return
    }
    channel.flush(.now)
    #expect(consumerWakes.current == 0)
    channel.put(Item(number: 0))
    channel.put(Item(number: 1))
    #expect(consumerWakes.current == 0)
    channel.flush(.now)
    channel.flush(.now)
    #expect(consumerWakes.current == 1)
  }

  @Test func `a consumer told empty is woken by enough bytes without a flush`() {
    let channel = channel(bytes: 10 << 20)
    _ = channel.take()
    channel.put(Item(number: 0, byteCount: 200 << 10))
    #expect(consumerWakes.current == 0)
    channel.put(Item(number: 1, byteCount: 100 << 10))
    channel.put(Item(number: 2, byteCount: 400 << 10))
    #expect(consumerWakes.current == 1)
  }

  @Test func `a consumer told empty is woken at once by an element from outside`() {
    let channel = channel()
    _ = channel.take()
    #expect(channel.offer(Item(number: 0)))
    #expect(consumerWakes.current == 1)
  }

  @Test func `a consumer told empty is woken by the end`() {
    let channel = channel()
    _ = channel.take()
    channel.end(nil)
    #expect(consumerWakes.current == 1)
  }

  @Test func `the end comes after the last element, with its failure`() {
    let channel = channel()
    channel.put(Item(number: 0))
    channel.end(TestFailure(number: 7))
    channel.end(nil)
    #expect(number(channel.take()) == 0)
    for _ in 0..<2 {
      guard case .ended(let failure) = channel.take() else {
        Issue.record("expected the end")
        return
      }
      #expect(failure as? TestFailure == TestFailure(number: 7))
    }
  }

  @Test func `a cancelled channel is empty and swallows what is put`() {
    let channel = channel(elements: 1)
    channel.put(Item(number: 0))
    channel.cancel()
    channel.put(Item(number: 1))
    channel.end(nil)
    guard case .empty = channel.take() else {
      Issue.record("expected an empty channel")
      return
    }
    #expect(channel.room() == .cancelled)
  }

  @Test func `a cancel wakes the producer whatever it waits for`() {
    let channel = channel()
    channel.cancel()
    #expect(producerWakes.current == 1)
  }
}
