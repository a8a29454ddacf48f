import Connectors
import Dataflow
import Records
import State
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// A stream that reads what another program writes, rotates and removes meanwhile, through crashes,
/// failures and stops drawn from a seed.
struct LiveSimulation {
  let seed: UInt64
  let scenario: LiveScenario
  private let canary: RecoveryCanary?
  private var random: SplitMix64
  private(set) var crashes = 0
  private(set) var faults = 0
  private(set) var stops = 0
  private(set) var refusals = 0
  private(set) var gaps = 0

  init(seed: UInt64, without canary: RecoveryCanary? = nil) throws {
    self.seed = seed
    self.canary = canary
    var scenario = try LiveScenario(seed: seed)
    canary?.takeOutFix(of: &scenario)
    self.scenario = scenario
    random = SplitMix64(seed: seed ^ 0x11fe)
  }

  /// - Throws: `Failure` if something is lost, doubled or wrong.
  mutating func run() throws {
    let calm = try LiveRun(scenario, seed: random.next())
    calm.disk.defect = canary?.defect
    try live(on: calm, isCalm: true)
    let restless = try LiveRun(scenario, seed: random.next())
    restless.disk.defect = canary?.defect
    try live(on: restless, isCalm: false)
    gaps = restless.gaps
    try compareStates(calm, restless)
  }

  /// Starts the stream again and again until all is read that is ever written, and checks what came out.
  private mutating func live(on run: LiveRun, isCalm: Bool) throws {
    var scenario = scenario
    let output = LiveOutput(scenario)
    let interruptions = isCalm ? 0 : Int.random(in: 1...8, using: &random)
    var failures = 0
    var attempt = 0
    var before: Set<Int> = []
    attempts: while true {
      guard attempt < 10 * (interruptions + 2) else {
        throw Failure("the stream does not come to its end")
      }
      let faultsBefore = run.disk.faultCount
      let stopsAfter = attempt < interruptions ? interrupt(run.disk) : .max
      let hurry = isCalm ? nil : [2, 10, 50][Int.random(in: 0..<3, using: &random)]
      switch run.live(scenario, hurry: hurry, stopsAfter: stopsAfter, without: canary) {
      case .done where !run.disk.isDown: break attempts
      case .done: break
      case .stopped: stops += 1
      case .failed(let error):
        let hadFault = run.disk.faultCount > faultsBefore
        faults += run.disk.faultCount - faultsBefore
        if !run.disk.isDown, let error = error as? StreamError, scenario.expects(error) {
          let now = try output.keys(on: run.disk)
          guard failures == 0 || now.isSuperset(of: before) || hadFault else {
            throw Failure("records \(before.subtracting(now).sorted()): taken back at a restart")
          }
          let unknown = output.keys(
            on: run.disk, around: output.newestCheckpoint(on: run.disk)?.output
          ).after
          guard unknown.isEmpty || hadFault else {
            throw Failure(
              "records \(unknown.sorted()): expected a checkpoint of them after the failure")
          }
          before = now
          failures += 1
          refusals += 1
          if failures > 2 { scenario.giveIn() }
        } else {
          try check(error, isDown: run.disk.isDown, hadFault: hadFault)
        }
      }
      attempt += 1
      run.traceEnd(of: scenario)
      run.disk.faults = .init()
      // The process was killed, or the power failed.
      let powerFails = run.disk.isDown && Bool.random(using: &random)
      if run.disk.isDown { crashes += 1 }
      if powerFails { run.disk.reboot() } else if run.disk.isDown { run.disk.killProcess() }
      if powerFails { run.traceEnd(of: scenario) }
      guard run.wronglyTakenBack.isEmpty else {
        throw Failure(
          "records \(run.wronglyTakenBack.sorted()): expected output to stay, found it taken back")
      }
      // A power failure, or a failed sync, loses output that no checkpoint knows of.
      if powerFails || run.disk.faultCount > faultsBefore { run.hasRecovered = false }
      if !isCalm { try run.actMeanwhile(atMost: 6) }
    }
    try output.check(
      on: run.disk, run.producer.ledger, mayComeTwice: run.mayComeTwice,
      inOrder: scenario.source == .follow)
  }

  /// Draws what interrupts a process.
  ///
  /// - Returns: the number of steps after which it is stopped.
  private mutating func interrupt(_ disk: SimulatedFileSystem) -> Int {
    disk.operationsToCrash = nil
    switch Int.random(in: 0..<8, using: &random) {
    case 0: return Int.random(in: 0...300, using: &random)
    case 1: disk.faults = .init(perThousand: 10, left: 3)
    default:
      let most = [60, 300][Int.random(in: 0..<2, using: &random)]
      disk.operationsToCrash = Int.random(in: 1...most, using: &random)
    }
    return .max
  }

  private func check(_ error: any Error, isDown: Bool, hadFault: Bool) throws {
    try Simulation.check(error, isDown: isDown, hadFault: hadFault)
  }

  /// Whether all runs that read the same records in the same order cut their batches at the same ones.
  private var cutsAtSameRecords: Bool {
    // A failure of the input cuts the batch. In a directory, other files may have been read by then.
    if scenario.source == .directory, refusals > 0 { return false }
    return !scenario.cutsByTime && stops == 0
  }

  /// The state after the same records in the same batches is the same.
  private func compareStates(_ calm: LiveRun, _ restless: LiveRun) throws {
    // Over a gap, the output holds records that the state does not know.
    guard cutsAtSameRecords, gaps == 0, restless.mayComeTwice.isEmpty else { return }
    let output = LiveOutput(scenario)
    func told(_ run: LiveRun) throws -> [[Int]] {
      [try output.records(on: run.disk).map(\.key), output.rejectedKeys(on: run.disk)]
    }
    // A run may have lost records that the other one has, and a directory gives its files in any order.
    let (toldCalm, toldRestless) = (try told(calm), try told(restless))
    guard toldCalm == toldRestless else {
      calm.disk.trace?("DIFFERENT RECORDS \(toldCalm) and \(toldRestless)")
      return
    }
    /// The columns of the state, by name.
    func columns(_ run: LiveRun) -> [String: StateValues] {
      guard let state = output.newestCheckpoint(on: run.disk)?.state else { return [:] }
      let names = state.groups.flatMap(\.columns).map(\.fileName)
      return names.reduce(into: [:]) { $0[$1] = state[$1] }
    }
    let (expected, found) = (columns(calm), columns(restless))
    let others = expected.keys.filter { expected[$0] != found[$0] }.sorted()
    guard others.isEmpty, expected.count == found.count else {
      let told = others.map {
        "\($0) \(found[$0]?.doubles ?? []), not \(expected[$0]?.doubles ?? [])"
      }
      throw Failure("state: expected that of a run without crashes, found \(told)")
    }
  }
}
