import Testing

@testable import Records

@Suite struct FeatureSchemaTests {
  @Test func `a schema keeps its names in order`() throws {
    let schema = try FeatureSchema(["b", "a", ""])
    #expect(schema.names == ["b", "a", ""])
    #expect(schema.count == 3)
    #expect(try FeatureSchema([]).count == 0)
    #expect(try schema == FeatureSchema(["b", "a", ""]))
    #expect(try schema != FeatureSchema(["a", "b", ""]))
  }

  @Test func `a name that stands twice is refused`() {
    #expect(throws: FeatureError.duplicateName("a")) { try FeatureSchema(["a", "b", "a", "b"]) }
    #expect(throws: FeatureError.duplicateName("")) { try FeatureSchema(["", ""]) }
  }

  @Test func `columns without names are counted from zero`() {
    #expect(FeatureSchema.unnamed(count: 3) == ["f0", "f1", "f2"])
    #expect(FeatureSchema.unnamed(count: 0) == [])
  }

  @Test func `errors say what was expected and what was found`() {
    #expect(
      FeatureError.duplicateName("a").description
        == "expected feature names that differ, found 'a' twice")
    #expect(
      FeatureError.matchesNothing(pattern: "tmp", nearest: "temp", names: ["temp"]).description
        == "features: 'tmp' matches no column; did you mean 'temp'?")
    #expect(
      FeatureError.matchesNothing(pattern: "x", nearest: nil, names: []).description
        == "features: 'x' matches no column")
  }
}
