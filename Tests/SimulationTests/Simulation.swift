import Codecs
import Connectors
import Dataflow
import Records
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// One stream through crashes, failures and stops drawn from a seed, compared with the same stream
/// without any.
struct Simulation {
  /// A commit order that is broken on purpose, for the tests of the tests.
  enum Canary: CaseIterable {
    case outputIsSyncedAfterTheCheckpoint
    case outputIsNeverSynced
    case outputNamesAreNeverSynced
    case outputIsNeverTruncated
    case checkpointIsNeverSynced
    /// A later process reads all gradients of γ and β again.
    case gradientPositionIsForgotten
  }

  /// The files and the checkpoint at the end.
  struct Result {
    var outputs: [String: [UInt8]]
    var deadLetters: [String: [UInt8]]
    var checkpoint: Checkpoint?
  }

  let seed: UInt64
  private(set) var scenario: Scenario
  private let canary: Canary?
  private var random: SplitMix64
  private(set) var crashes = 0
  private(set) var faults = 0
  private(set) var stops = 0
  private(set) var damages = 0
  /// The restarts that passed over a part of their input.
  private(set) var seeks = 0
  /// The restarts from a checkpoint that has only the keys that changed.
  private(set) var resumedDeltas = 0

  init(seed: UInt64, canary: Canary? = nil) throws {
    self.seed = seed
    self.canary = canary
    scenario = try Scenario(seed: seed)
    random = SplitMix64(seed: seed ^ 0x5eed)
  }

  /// - Throws: `Failure` where the results differ.
  mutating func run() throws {
    let calm = try scenario.disk(seed: 1)
    try live(on: calm, stopsAfter: .max)
    let operations = calm.operations
    calm.reboot()
    let expected = try result(on: calm)
    let disk = try scenario.disk(seed: random.next())
    disk.defect = defect
    if tracesSimulation {
      print("SCENARIO \(scenario)")
      disk.trace = { print($0) }
    }
    if canary == .outputIsSyncedAfterTheCheckpoint { scenario.delaySync() }
    try suffer(on: disk, calmOperations: operations)
    // The power may fail when all is done, too.
    disk.reboot()
    disk.faults = .init()
    try compare(try result(on: disk), expected)
  }

  private var defect: (SimulatedFileSystem.Defect, under: String)? {
    let output = Scenario.outputDirectory
    return switch canary {
    case .outputIsNeverSynced: (.syncDoesNothing, output)
    case .outputNamesAreNeverSynced: (.directorySyncDoesNothing, output)
    case .outputIsNeverTruncated: (.truncateDoesNothing, output)
    case .checkpointIsNeverSynced: (.syncDoesNothing, scenario.directory + "/.evenkeel")
    case .outputIsSyncedAfterTheCheckpoint, .gradientPositionIsForgotten, nil: nil
    }
  }

  // MARK: Lives

  /// Starts the stream again and again, each time to be interrupted otherwise, until it ends.
  private mutating func suffer(on disk: SimulatedFileSystem, calmOperations: Int) throws {
    let interruptions = Int.random(in: 1...8, using: &random)
    for attempt in 0... {
      guard attempt < 10 * interruptions else {
        throw Failure("the stream does not come to its end")
      }
      let isQuiet = attempt >= interruptions
      let faultsBefore = disk.faultCount
      var stopsAfter = Int.max
      disk.operationsToCrash = nil
      disk.faults = .init()
      if !isQuiet {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: stopsAfter = Int.random(in: 0...200, using: &random)
        case 1:
          disk.faults = .init(
            perThousand: [5, 30][Int.random(in: 0..<2, using: &random)], left: 3)
        default:
          let most = [calmOperations + 20, 60][Int.random(in: 0..<2, using: &random)]
          disk.operationsToCrash = Int.random(in: 1...most, using: &random)
        }
      }
      do {
        try live(on: disk, stopsAfter: stopsAfter)
        if stopsAfter != .max {
          stops += 1
        } else if isQuiet || Bool.random(using: &random) {
          return
        }
      } catch {
        disk.trace?("FAILED \(error)")
        faults += disk.faultCount - faultsBefore
        try Self.check(error, isDown: disk.isDown, hadFault: disk.faultCount > faultsBefore)
      }
      disk.trace?("LIFE \(attempt) is over")
      // A failure is mended by the same process, or not even that.
      if disk.isDown || !isQuiet && Bool.random(using: &random) {
        crashes += 1
        disk.reboot()
        if Int.random(in: 0..<20, using: &random) == 0 { damageNewestCheckpoint(on: disk) }
      }
    }
  }

  /// Damages the newest generation, once, where there is one before it.
  private mutating func damageNewestCheckpoint(on disk: SimulatedFileSystem) {
    let generations = disk.files(under: scenario.directory).filter {
      $0.key.contains("/checkpoint-") && $0.key.hasSuffix(".safetensors")
    }
    guard damages == 0, let newest = generations.keys.max() else { return }
    // A delta that lost its whole checkpoint is none.
    let isDelta: (String) -> Bool = { $0.hasSuffix(".delta.safetensors") }
    guard isDelta(newest) || generations.keys.count(where: { !isDelta($0) }) > 1 else { return }
    disk.damage(newest)
    damages += 1
  }

  /// Refuses an error without a cause, and one that only a human can mend.
  static func check(_ error: any Error, isDown: Bool, hadFault: Bool) throws {
    if error is Failure { throw error }
    guard !isDown else { return }
    let isLasting =
      switch error as? StreamError {
      case .inputOutput, .outputRefused, .stateRefused, .badFile: false
      default: true
      }
    guard hadFault, !isLasting else { throw Failure("\(error)") }
  }

  /// One process from its start to its end, or to the end of the machine.
  private mutating func live(on disk: SimulatedFileSystem, stopsAfter: Int) throws {
    do {
      let lock = try StateDirectoryLock(Scenario.stateDirectory, in: disk)
      defer { lock.release() }
      let scenario = scenario.anotherRun(&random)
      let plan = StreamPlan(
        scenario.definition, directory: scenario.directory,
        // As after a reload.
        adopts: Bool.random(using: &random))
      let opened = try OpenedStream(
        plan, in: ConnectorContext(fileSystem: disk, clock: Scenario.clock))
      disk.reads = [:]
      if opened.checkpointPath?.hasSuffix(".delta.safetensors") == true { resumedDeltas += 1 }
      disk.trace?("OPENED at \(opened.state.cursor?.splits ?? [])")
      var world = SerialStream.World(unitBytes: scenario.unitBytes)
      world.asksForCheckpoints = scenario.variesCadence
      world.hasEvents = { disk.hasEvents }
      var stream = try SerialStream(
        opened, in: world, seed: random.next(), gradients: try gradients(opened, on: disk))
      let outcome = Swift.Result { try stream.run(stopsAfter: stopsAfter) }
      for cursor in opened.state.cursor?.splits ?? [] { try expectSought(cursor, disk.reads) }
      if stream.metrics.bytesPassedOver > 0 { seeks += 1 }
      try outcome.get()
    } catch let error as StorageError {
      throw StreamError(error)
    }
  }

  /// The gradients of γ and β; nil without any.
  private func gradients(
    _ opened: OpenedStream, on disk: SimulatedFileSystem
  ) throws -> GradientFeed? {
    guard canary == .gradientPositionIsForgotten, opened.gradients != nil else {
      return opened.gradients
    }
    let batches = opened.state.checkpoint?.gradients?.batches ?? 0
    do throws(FileError) {
      return try GradientFeed(
        GradientInput(path: Scenario.gradientsPath), at: GradientCursor(batches: batches),
        in: ConnectorContext(fileSystem: disk, clock: Scenario.clock))
    } catch {
      throw StreamError.inputOutput(error)
    }
  }

  /// Expects that of a split that is gone on with nothing was read before its cursor, or the frame of it.
  private func expectSought(
    _ cursor: SplitCursor, _ reads: [String: [Int]]
  ) throws {
    let path = "\(Scenario.inputDirectory)/\(cursor.split)"
    let needless = (reads[path] ?? []).filter { $0 < cursor.sourceOffset }
    guard needless.isEmpty else {
      throw Failure(
        "\(path): expected reads from \(cursor.sourceOffset) on, found some at \(needless.prefix(3))"
      )
    }
  }

  // MARK: Results

  private func result(on disk: SimulatedFileSystem) throws -> Result {
    let found = try CheckpointStore.newest(in: scenario.directory, of: disk)
    return Result(
      outputs: disk.files(under: Scenario.outputDirectory),
      deadLetters: disk.files(under: scenario.directory).filter { $0.key.contains("letters") },
      checkpoint: found?.checkpoint)
  }

  /// Compares everything, byte by byte, but for what may differ:
  /// - the places at which frames and files are cut, in a stream that was stopped or has checkpoints by time;
  /// - the values in a live one that was stopped, which cut a batch short;
  /// - dead letters that are too old to stay, where a checkpoint before the newest had to do.
  private func compare(_ found: Result, _ expected: Result) throws {
    var (checkpoint, wanted) = (found.checkpoint, expected.checkpoint)
    checkpoint?.input?.forgetFrames()
    wanted?.input?.forgetFrames()
    // A life that came to no checkpoint of its own leaves that which it was lent.
    checkpoint?.adoptedBy = nil
    wanted?.adoptedBy = nil
    let isLive = scenario.definition.source.kind.isLive
    if scenario.definition.deadLetters.keep < 1000, damages > 0 || faults > 0 {
      checkpoint?.deadLetters = nil
      wanted?.deadLetters = nil
    } else {
      try compare(found.deadLetters, expected.deadLetters, "dead letters")
    }
    if stops == 0, !scenario.variesCadence, !isLive {
      try compare(found.outputs, expected.outputs, "output")
    } else {
      checkpoint?.output = nil
      wanted?.output = nil
      var (text, wantedText) = (try records(found.outputs), try records(expected.outputs))
      if isLive, stops > 0 { (text, wantedText) = (keys(text), keys(wantedText)) }
      try compare(["records": text], ["records": wantedText], "output")
    }
    guard !isLive || stops == 0 else {
      // The moments are those of other batches, the place is the same.
      return try expectInput(checkpoint?.input, wanted?.input)
    }
    guard checkpoint == wanted else {
      throw Failure(
        "checkpoint: expected \(String(describing: wanted)), "
          + "found \(String(describing: checkpoint))")
    }
  }

  private func expectInput(_ found: InputCursor?, _ expected: InputCursor?) throws {
    guard found != expected else { return }
    throw Failure(
      "input: expected \(String(describing: expected)), "
        + "found \(String(describing: found))")
  }

  /// The text before the first comma of each line.
  private func keys(_ text: [UInt8]) -> [UInt8] {
    Array(
      text.split(separator: 0x0A).map { $0.prefix { $0 != UInt8(ascii: ",") } }.joined(separator: [
        0x0A
      ]))
  }

  private func compare(
    _ found: [String: [UInt8]], _ expected: [String: [UInt8]], _ what: String
  ) throws {
    guard found != expected else { return }
    func sizes(_ files: [String: [UInt8]]) -> String {
      files.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.count)" }.joined(separator: ", ")
    }
    throw Failure("\(what): expected \(sizes(expected)); found \(sizes(found))")
  }

  /// The records of all output files in their order, without the headers.
  private func records(_ files: [String: [UInt8]]) throws -> [UInt8] {
    let growing = Scenario.outputDirectory + "/out.data"
    let names = files.keys.filter { $0 != growing }.sorted() + [growing]
    return try names.flatMap { name -> [UInt8] in
      let text = try decompressed(files[name] ?? [])
      let stream = scenario.definition.stream
      if (stream.outputFormat ?? stream.format).name == "arrow" {
        return stream.outputFormat == nil ? try arrowBatches(text) : try arrowLines(text)
      }
      // The name of the first column; a record has a key or a number there.
      let isHeader = ["key,", "f0,", "f1,"].contains { text.starts(with: $0.utf8) }
      return isHeader ? Array(text.drop { $0 != 0x0A }.dropFirst()) : text
    }
  }
}

extension InputCursor {
  /// Between two frames, the place is the end of the first as well as the start of the second; and the list
  /// of the splits that are done may be in another file.
  fileprivate mutating func forgetFrames() {
    doneList = nil
    for index in splits.indices {
      splits[index].container = nil
      splits[index].source = nil
    }
  }
}

extension Scenario {
  /// Breaks the order of a commit: the output is made durable after the checkpoint that knows of it.
  mutating func delaySync() {
    let open = definition.sink.open
    definition.sink.open = { context throws(FileError) in
      LateSyncSink(sink: try open(context))
    }
  }
}

/// A sink that syncs when it is next written to, that is after the checkpoint.
private struct LateSyncSink: ByteSink {
  var sink: any ByteSink
  var owesSync = false

  var name: String { sink.name }
  var outputPosition: OutputPosition? { sink.outputPosition }

  func position(toResumeAt position: OutputPosition) throws(FileError) -> OutputPosition {
    try sink.position(toResumeAt: position)
  }

  mutating func resume(at position: OutputPosition) throws(FileError) {
    try sink.resume(at: position)
  }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) { try sink.begin(prologue, endingWith: epilogue) }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    if owesSync { try sink.sync() }
    owesSync = false
    try sink.write(bytes)
  }

  mutating func push() throws(FileError) -> Awaiting? { try sink.push() }
  mutating func sync() throws(FileError) { owesSync = true }
  mutating func finish() throws(FileError) { try sink.finish() }
}
