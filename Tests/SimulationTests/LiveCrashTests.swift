import Testing

/// A stream from a log that is rotated, or from a directory that fills up, loses nothing at a crash that can be
/// read again: `make simulate` asks more often.
@Suite struct LiveCrashTests {
  private static let firstSeed: UInt64 = 1

  @Test func `a rotated log and a directory are read once through any crash`() throws {
    let most = isFullSimulation ? 10_000 : 150
    var (crashes, faults, stops, refusals, gaps) = (0, 0, 0, 0, 0)
    var failures: [String] = []
    var seed = simulationSeed ?? Self.firstSeed
    repeat {
      var simulation = try LiveSimulation(seed: seed)
      do {
        try simulation.run()
      } catch {
        failures.append("EVENKEEL_SIMULATION_SEED=\(seed): \(error)")
      }
      crashes += simulation.crashes
      faults += simulation.faults
      stops += simulation.stops
      refusals += simulation.refusals
      gaps += simulation.gaps
      seed += 1
    } while simulationSeed == nil && crashes < most && failures.count < 10
    print(
      "simulated \(crashes) crashes, \(faults) failures, \(stops) stops and \(refusals) refusals of live "
        + "sources, \(gaps) restarts found input gone, seeds \(simulationSeed ?? Self.firstSeed)..<\(seed)"
    )
    #expect(simulationSeed != nil || gaps > 0 && refusals > 0, "too little was simulated")
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
  }

  @Test(arguments: RecoveryCanary.allCases)
  func `a fix that is taken out is missed`(canary: RecoveryCanary) throws {
    // The small dose begins shortly before the seed at which a rare fault was found.
    let first = isFullSimulation ? Self.firstSeed : canary.firstSeed
    for seed in first..<first + 1000 {
      var simulation = try LiveSimulation(seed: seed, without: canary)
      do { try simulation.run() } catch {
        print("without a fix (\(canary)), seed \(seed): \(error)")
        return
      }
    }
    Issue.record("nobody missed that \(canary)")
  }
}
