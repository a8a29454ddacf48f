/// One step of a flow: a value with one method that does one bounded piece of work.
///
/// A stage owns no thread and no lock, and it never waits: it returns what it waits for. A `StageRunner` or a
/// test drives it, and gives it the next signal when there is room for what it may emit.
package protocol Stage<Input, Output>: Sendable {
  associatedtype Input: Sendable
  associatedtype Output: Sendable

  /// Does one step.
  ///
  /// - Parameters:
  ///   - signal: an element or another reason to go on. It belongs to the stage, which may change it.
  ///   - emit: takes the outputs, in order.
  /// - Returns: what the stage needs to go on.
  /// - Throws: the failure that ends the flow. What was emitted before it still reaches the end.
  mutating func step(
    _ signal: consuming Signal<Input>, emit: (consuming Output) -> Void
  ) throws -> Progress
}

/// What a stage is told.
package enum Signal<Input: Sendable>: Sendable {
  /// The next element of the input.
  case element(Input)
  /// What the stage asked for has come: room for more output, or what it waited for.
  case resume
  /// No element follows; emit the rest. A source gets it when it is to stop early.
  case end
}

/// What a stage needs to go on.
package enum Progress: Sendable, Equatable {
  /// The next element.
  case next
  /// Another step with the same input, as soon as there is room for more output.
  case again
  /// The next element, or another step if what is waited for comes before it.
  case nextOr(Awaiting)
  /// Another step when what is waited for has come.
  case waits(Awaiting)
  /// Nothing: the stage has emitted its last output.
  case finished
}

/// What a stage, a source or a sink waits for: a descriptor, a time, or the first of the two; or a thread that
/// may wait for a disk.
///
/// A connector of many connections gives the descriptor of an epoll(7) instance over all of them, which can be
/// read from when one of them is ready.
package struct Awaiting: Sendable, Equatable {
  package var readiness: Readiness?
  /// The longest to wait, in seconds from now; nil is without limit.
  package var seconds: Double?
  /// The disk whose thread takes the next step, which may wait for it. Only with `.waits`, and alone.
  package var disk: Disk?

  package init(_ readiness: Readiness?, seconds: Double? = nil) {
    self.readiness = readiness
    self.seconds = seconds
  }

  /// A thread that may wait for `disk`, for one step.
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

/// A disk, by the device number of its files (stat(2)). Stages that wait for the same disk share its threads.
package struct Disk: Sendable, Hashable {
  package let device: UInt64

  package init(device: UInt64) {
    self.device = device
  }

  /// Stands for a disk, or another thing that makes a thread wait, that is not known.
  package static let unknown = Disk(device: 0)
}

/// A piece of work on one element that depends on no other, so that many may run at once.
package protocol Worker<Input, Output>: Sendable {
  associatedtype Input: Sendable
  associatedtype Output: Sendable

  mutating func work(_ input: consuming Input) throws -> Output
}

/// An element whose size counts against the byte bound of a channel.
package protocol Sized {
  /// The memory that the element holds, in bytes, approximately.
  var byteCount: Int { get }
}
