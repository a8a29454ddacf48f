/// A first-in, first-out queue. Appending and removing take constant time on average.
struct FIFO<Element> {
  /// The elements before `head` were removed.
  private var elements: [Element?] = []
  private var head = 0

  var count: Int { elements.count - head }
  var isEmpty: Bool { count == 0 }
  var first: Element? { isEmpty ? nil : elements[head] }

  mutating func append(_ element: consuming Element) {
    elements.append(consume element)
  }

  /// Removes the first element. Moves the others only when half of the array was removed.
  mutating func removeFirst() -> Element? {
    guard head < elements.count else { return nil }
    let element = elements[head].take()
    head += 1
    if 2 * head >= elements.count {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }

  mutating func removeAll() {
    elements = []
    head = 0
  }
}
