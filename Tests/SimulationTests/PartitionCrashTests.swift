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
      simulationSeed != nil || found.doubles > 0 && (found.ends > 0) == (faults == .killsAndPauses),
      "too little was simulated")
  }

  @Test(arguments: PartitionSimulation.Faults.allCases)
  func `with transactions every record is there once`(faults: PartitionSimulation.Faults) throws {
    let found = try simulate(faults, .exactlyOnce)
    #expect(
      simulationSeed != nil || found.aborted > 0 && (found.ends > 0) == (faults == .killsAndPauses),
      "too little was simulated")
  }

  private func simulate(
    _ faults: PartitionSimulation.Faults, _ delivery: SimulatedDelivery
  ) throws -> (doubles: Int, ends: Int, aborted: Int) {
    let most = isFullSimulation ? 10_000 : 200
    var (kills, pauses, doubles, ends, aborted, changes) = (0, 0, 0, 0, 0, 0)
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
      changes += simulation.changes
      seed += 1
    } while simulationSeed == nil && kills + pauses < most && failures.count < 10
    print(
      "simulated \(kills) kills and stops and \(pauses) pauses of a partition (\(faults), \(delivery)), \(doubles) "
        + "copies, \(aborted) aborted transactions, \(ends) ends of replaced processes, \(changes) changes by users, seeds "
        + "\(simulationSeed ?? Self.firstSeed)..<\(seed)")
    #expect(
      simulationSeed != nil || (changes > 0) == (faults == .killsAndChanges),
      "too little was simulated")
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    return (doubles, ends, aborted)
  }

  @Test(arguments: [SimulatedDelivery.outputOutside, .replacedLate])
  func `a state that does not hold its output together is missed`(delivery: SimulatedDelivery) {
    for seed in Self.firstSeed..<Self.firstSeed + 100 {
      var simulation = PartitionSimulation(seed: seed, .killsAndPauses, delivery)
      do { try simulation.run() } catch {
        print("\(delivery), seed \(seed): \("\(error)".prefix(100))")
        return
      }
    }
    Issue.record("nobody missed it")
  }

  @Test(arguments: PartitionCanary.allCases)
  func `a partition without one of its rules is found out`(canary: PartitionCanary) {
    let faults: PartitionSimulation.Faults =
      canary == .outputIsNotAwaited ? .killsAndPauses : .killsAndChanges
    for seed in Self.firstSeed..<Self.firstSeed + 100 {
      var simulation = PartitionSimulation(seed: seed, faults, without: canary)
      do { try simulation.run() } catch {
        print("\(canary), seed \(seed): \("\(error)".prefix(100))")
        return
      }
    }
    Issue.record("nobody missed the rule: \(canary)")
  }
}
