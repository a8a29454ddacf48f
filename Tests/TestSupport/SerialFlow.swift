package import Dataflow

/// Drives a flow on one thread: a source stage, a stage, a worker and a sink stage, with queues between them.
///
/// The caller chooses which part takes the next step, and so the order in which the parts of a real flow would
/// run. Each queue has the bound of a small channel: a part whose output is full takes no step.
package struct SerialFlow<Source: Stage, Middle: Stage, Work: Worker, Sink: Stage>
where
  Source.Input == Nothing, Middle.Input == Source.Output, Work.Input == Middle.Output,
  Sink.Input == Work.Output, Sink.Output == Nothing
{
  /// An element with the workers, which finish in any order.
  private enum Job {
    case waiting(Work.Input)
    case done(Work.Output)
  }

  private static var mostItems: Int { 4 }
  private static var mostUnits: Int { 2 }
  private static var mostJobs: Int { 3 }

  private var source: Source
  private var middle: Middle
  private var worker: Work
  private var sink: Sink
  private var items: [Source.Output] = []
  private var units: [Middle.Output] = []
  private var jobs: [Job] = []
  private var sourceHasEnded = false
  private var middleHasEnded = false
  /// Whether the sink takes another step without an element, perhaps on the thread of a disk.
  private var sinkGoesOn = false
  /// Set while the source waits, to what it waits for.
  package private(set) var awaiting: Awaiting?
  package private(set) var hasEnded = false

  package init(_ source: Source, _ middle: Middle, _ worker: Work, _ sink: Sink) {
    self.source = source
    self.middle = middle
    self.worker = worker
    self.sink = sink
  }

  /// Whether all outputs of the source have reached the sink.
  package var isEmpty: Bool {
    items.isEmpty && units.isEmpty && jobs.isEmpty && !sinkGoesOn
  }

  /// Whether the source waits and all its outputs have reached the sink.
  package var isQuiet: Bool { awaiting != nil && isEmpty }

  /// Whether the source has not ended and there is room for its outputs.
  package var sourceMayStep: Bool { !sourceHasEnded && items.count < Self.mostItems }

  /// Gives the source a signal, if it may step.
  ///
  /// - Returns: the outputs of the step.
  @discardableResult
  package mutating func stepSource(_ signal: Signal<Nothing>) throws -> [Source.Output] {
    guard sourceMayStep else { return [] }
    var outputs: [Source.Output] = []
    // The outputs before a failure go their way.
    defer { items += outputs }
    awaiting = nil
    let progress = try source.step(signal) { outputs.append($0) }
    sourceHasEnded = progress == .finished
    if case .waits(let awaiting) = progress { self.awaiting = awaiting }
    return outputs
  }

  /// Gives the stage its next item or the end, if there is room.
  ///
  /// - Returns: the outputs of the step.
  @discardableResult
  package mutating func stepMiddle() throws -> [Middle.Output] {
    guard !middleHasEnded, units.count < Self.mostUnits else { return [] }
    guard !items.isEmpty || sourceHasEnded else { return [] }
    var outputs: [Middle.Output] = []
    let progress = try middle.step(items.isEmpty ? .end : .element(items.removeFirst())) {
      outputs.append($0)
    }
    middleHasEnded = progress == .finished
    units += outputs
    return outputs
  }

  /// Gives the workers the next unit, if there is room, and finishes a job that `random` chooses.
  ///
  /// - Returns: the output of the job; nil if it had finished before, or there is none.
  @discardableResult
  package mutating func stepWorker(
    using random: inout some RandomNumberGenerator
  ) throws -> Work.Output? {
    if !units.isEmpty, jobs.count < Self.mostJobs { jobs.append(.waiting(units.removeFirst())) }
    guard let index = jobs.indices.randomElement(using: &random),
      case .waiting(let unit) = jobs[index]
    else { return nil }
    let output = try worker.work(unit)
    jobs[index] = .done(output)
    return output
  }

  /// Gives the sink its next element in order, the disk it waits for, or the end.
  package mutating func stepSink() throws {
    let signal: Signal<Sink.Input>
    if sinkGoesOn {
      signal = .resume
    } else if case .done(let output) = jobs.first {
      jobs.removeFirst()
      signal = .element(output)
    } else if middleHasEnded, isEmpty {
      signal = .end
    } else {
      return
    }
    let progress = try sink.step(signal) { _ in }
    hasEnded = progress == .finished
    sinkGoesOn =
      switch progress {
      case .again, .waits: true
      default: false
      }
  }
}
