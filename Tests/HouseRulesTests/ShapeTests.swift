import Testing

/// `swift test --filter ShapeTests` prints the counts.
@Suite struct ShapeTests {
  @Test func `four types carry a record from its source to its sink`() throws {
    let carriers = try Shape().carriers()
    print("carriers of a record: \(carriers.count) (\(carriers.sorted().joined(separator: ", ")))")
    #expect(carriers.count <= 4)
  }

  @Test func `a state vector is copied by hand once`() throws {
    let copies = try Shape().vectorCopies()
    for copy in copies {
      print("copies of state column \(copy.column): \(copy.holders.count) \(copy.holders)")
    }
    for copy in copies {
      // γ and β also come from outside: in a file, in an update, and as parameters.
      let isGiven = ["weight", "bias"].contains(copy.column)
      #expect(copy.holders.count <= (isGiven ? 4 : 1), "\(copy)")
    }
  }

  @Test func `a checkpoint has one trigger`() throws {
    let triggers = try Shape().checkpointTriggers()
    print("triggers of a checkpoint: \(triggers.count) (\(triggers.joined(separator: ", ")))")
    #expect(triggers.count == 1)
  }
}
