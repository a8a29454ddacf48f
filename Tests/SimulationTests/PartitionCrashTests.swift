import Testing

/// A partition whose state is in a topic: `make simulate` asks more often.
@Suite struct PartitionCrashTests {
  private static let firstSeed: UInt64 = 1

  @Test(arguments: PartitionSimulation.Faults.allCases)
  func `a state in a topic loses no record and doubles only equal ones`(
    faults: PartitionSimulation.Faults
  ) throws {
    let most = isFullSimulation ? 10_000 : 200
    var (kills, pauses, doubles, ends) = (0, 0, 0, 0)
    var failures: [String] = []
    var seed = simulationSeed ?? Self.firstSeed
    repeat {
      var simulation = PartitionSimulation(seed: seed, faults)
      do {
        try simulation.run()
      } catch {
        failures.append("EVENKEEL_SIMULATION_SEED=\(seed): \(error)")
      }
      kills += simulation.kills
      pauses += simulation.pauses
      doubles += simulation.doubles
      ends += simulation.ends
      seed += 1
    } while simulationSeed == nil && kills + pauses < most && failures.count < 10
    print(
      "simulated \(kills) kills and stops and \(pauses) pauses of a partition (\(faults)), \(doubles) copies, \(ends) "
        + "ends of replaced processes, seeds \(simulationSeed ?? Self.firstSeed)..<\(seed)")
    #expect(
      simulationSeed != nil || doubles > 0 && (ends > 0 || faults == .killsAndStops),
      "too little was simulated")
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
  }

  @Test func `a state that does not wait for the output before it is missed`() {
    for seed in Self.firstSeed..<Self.firstSeed + 100 {
      var simulation = PartitionSimulation(seed: seed, .killsAndPauses, awaitsOutput: false)
      do { try simulation.run() } catch {
        print("without a wait for the output, seed \(seed): \("\(error)".prefix(100))")
        return
      }
    }
    Issue.record("nobody missed the output")
  }
}
