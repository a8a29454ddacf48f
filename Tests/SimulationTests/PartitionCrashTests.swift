import Testing

/// A partition whose state is in a topic: `make simulate` asks more often.
@Suite struct PartitionCrashTests {
  private static let firstSeed: UInt64 = 1

  @Test(arguments: PartitionSimulation.Faults.allCases)
  func `a state in a topic loses no record and doubles only equal ones`(
    faults: PartitionSimulation.Faults
  ) throws {
    let found = try simulate(faults, .atLeastOnce)
    #expect(
      simulationSeed != nil || found.doubles > 0 && (found.ends > 0 || faults == .killsAndStops),
      "too little was simulated")
  }

  @Test(arguments: PartitionSimulation.Faults.allCases)
  func `with transactions every record is there once`(faults: PartitionSimulation.Faults) throws {
    let found = try simulate(faults, .exactlyOnce)
    #expect(
      simulationSeed != nil || found.aborted > 0 && (found.ends > 0 || faults == .killsAndStops),
      "too little was simulated")
  }

  private func simulate(
    _ faults: PartitionSimulation.Faults, _ delivery: SimulatedDelivery
  ) throws -> (doubles: Int, ends: Int, aborted: Int) {
    let most = isFullSimulation ? 10_000 : 200
    var (kills, pauses, doubles, ends, aborted) = (0, 0, 0, 0, 0)
    var failures: [String] = []
    var seed = simulationSeed ?? Self.firstSeed
    repeat {
      var simulation = PartitionSimulation(seed: seed, faults, delivery)
      do {
        try simulation.run()
      } catch {
        failures.append("EVENKEEL_SIMULATION_SEED=\(seed): \(error)")
      }
      kills += simulation.kills
      pauses += simulation.pauses
      doubles += simulation.doubles
      ends += simulation.ends
      aborted += simulation.world.abortedCount
      seed += 1
    } while simulationSeed == nil && kills + pauses < most && failures.count < 10
    print(
      "simulated \(kills) kills and stops and \(pauses) pauses of a partition (\(faults), \(delivery)), \(doubles) "
        + "copies, \(aborted) aborted transactions, \(ends) ends of replaced processes, seeds \(simulationSeed ?? Self.firstSeed)..<\(seed)"
    )
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    return (doubles, ends, aborted)
  }

  @Test(arguments: [
    (SimulatedDelivery.atLeastOnce, false), (.outputOutside, true), (.replacedLate, true),
  ])
  func `a state that does not hold its output together is missed`(
    delivery: SimulatedDelivery, awaitsOutput: Bool
  ) {
    for seed in Self.firstSeed..<Self.firstSeed + 100 {
      var simulation = PartitionSimulation(
        seed: seed, .killsAndPauses, delivery, awaitsOutput: awaitsOutput)
      do { try simulation.run() } catch {
        print("\(delivery), waits: \(awaitsOutput), seed \(seed): \("\(error)".prefix(100))")
        return
      }
    }
    Issue.record("nobody missed the output")
  }
}
