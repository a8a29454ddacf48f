/// One step of a flow: a value with one method that does one bounded piece of work.
///
/// A stage owns no thread and no lock, and it never waits. It returns what it waits for. A `StageRunner` or a test
/// drives it: it sends the next signal when there is room for the output.
package protocol Stage<Input, Output>: Sendable {
  associatedtype Input: Sendable
  associatedtype Output: Sendable

  /// Does one step.
  ///
  /// - Parameters:
  ///   - signal: an element, or another reason to continue. The stage owns it and may change it.
  ///   - emit: takes the outputs, in order.
  /// - Returns: what the stage needs next.
  /// - Throws: the failure that ends the flow. Outputs emitted before it still reach the last stage.
  mutating func step(
    _ signal: consuming Signal<Input>, emit: (consuming Output) -> Void
  ) throws -> Progress
}

/// A reason for a stage to take a step.
package enum Signal<Input: Sendable>: Sendable {
  /// The next element of the input.
  case element(Input)
  /// There is room for more output, or what the stage waited for has happened.
  case resume
  /// No element follows, so the stage emits the rest. A source gets this signal to stop early.
  case end
}

/// A stage's need for its next step.
package enum Progress: Sendable, Equatable {
  /// The next element.
  case next
  /// Another step with the same input, as soon as there is room for more output.
  case again
  /// The next element. If what the stage waits for happens first, a step without an element.
  case nextOr(Awaiting)
  /// Another step when what the stage waits for has happened.
  case waits(Awaiting)
  /// Nothing: the stage has emitted its last output.
  case finished
}

/// The condition that a stage, a source or a sink waits for: a descriptor, a time or the first of the two, or a
/// thread that may wait for a disk.
///
/// A connector with many connections gives the descriptor of one epoll(7) instance, which is readable when one of the
/// connections is ready.
package struct Awaiting: Sendable, Equatable {
  package var readiness: Readiness?
  /// The longest time to wait, in seconds from now; nil is without limit.
  package var seconds: Double?
  /// The disk whose threads must take the next step, because the step may wait for that disk. Only with `.waits`, and
  /// without the other two.
  package var disk: Disk?

  package init(_ readiness: Readiness?, seconds: Double? = nil) {
    self.readiness = readiness
    self.seconds = seconds
  }

  /// Waits for a thread that may wait for `disk`, for one step.
  package init(threadOf disk: Disk) {
    self.disk = disk
  }
}

/// A state of a file descriptor that can be waited for.
package enum Readiness: Sendable, Equatable {
  case readable(descriptor: Int32)
  case writable(descriptor: Int32)

  package var descriptor: Int32 {
    switch self {
    case .readable(let descriptor), .writable(let descriptor): descriptor
    }
  }
}

/// A disk, by the device number of its files (stat(2)). Stages that use the same disk share its threads.
package struct Disk: Sendable, Hashable {
  package let device: UInt64

  package init(device: UInt64) {
    self.device = device
  }

  /// An unknown disk, or another thing that can block a thread.
  package static let unknown = Disk(device: 0)

  /// The brokers of topics, for which a stage of a running stream waits. Streams that are opened wait in another share.
  package static let brokers = Disk(device: .max)
}

/// Work on single elements, each independent of the others, so that several can run at once.
package protocol Worker<Input, Output>: Sendable {
  associatedtype Input: Sendable
  associatedtype Output: Sendable

  mutating func work(_ input: consuming Input) throws -> Output
}

/// An element whose size counts against the byte bound of a channel.
package protocol Sized {
  /// The memory that the element uses, in bytes, approximately.
  var byteCount: Int { get }
}
